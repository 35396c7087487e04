// Draws the charts of the page from the JSON in it, in the colours of the page.
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 640px)");
  let printing = false;

  const theme = () => {
    const isDark = dark.matches && !printing;
    const ink = isDark ? "#d5dce4" : "#2b3744";
    const grid = isDark ? "#2f3944" : "#e4e8ec";
    const size = printing ? 10 : narrow.matches ? 11 : 12.5;
    const axis = { title: { font: { size } }, gridcolor: grid, zerolinecolor: isDark ? "#5b6774" : "#9aa5b1", linecolor: grid, tickcolor: grid };
    return {
      data: { heatmap: [{ textfont: { color: isDark ? "#f2f5f8" : "#14202b" } }] },
      layout: {
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif", size, color: ink },
        hoverlabel: { bgcolor: isDark ? "#2b3744" : "#ffffff", bordercolor: isDark ? "#5b6774" : "#9aa5b1", font: { color: isDark ? "#f2f5f8" : "#1c2733" } },
        coloraxis: {
          colorscale: isDark
            ? [[0, "#1d2731"], [1, "#0b65a3"]]
            : [[0, "#f4f9fd"], [1, "#74b5e2"]],
        },
        xaxis: { ...axis, showgrid: false },
        yaxis: axis,
      },
    };
  };

  const each = (action) => Object.keys(charts).forEach((id) => action(document.getElementById(`chart-${id}`), charts[id]));
  const recolour = () => { const template = theme(); each((element) => Plotly.relayout(element, { template })); };

  each((element, chart) => {
    Plotly.newPlot(element, chart.data, { ...chart.layout, template: theme() }, { responsive: true, displayModeBar: false });
  });
  dark.addEventListener("change", recolour);
  narrow.addEventListener("change", recolour);
  // Paper has its own colours and widths (a landscape page, A4 or letter), and a chart does not hear of them.
  window.addEventListener("beforeprint", () => {
    printing = true;
    const template = theme();
    each((element) => Plotly.relayout(element, { template, width: element.closest(".wide") ? 900 : 430 }));
  });
  window.addEventListener("afterprint", () => {
    printing = false;
    const template = theme();
    each((element) => Plotly.relayout(element, { template, width: null, autosize: true }));
  });
  document.documentElement.dataset.drawn = "true";
})();
