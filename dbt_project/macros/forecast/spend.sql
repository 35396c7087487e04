{#
  Gamma–Gamma's expected net amount of a purchase day, E[M | x, m] = p (v + x m) ÷ (p x + q − 1), in minor units, from the
  number of repeats x and what they came to; somebody without a repeat is expected to spend what everybody does.
#}
{% macro gamma_gamma_expected_spend(repeat_count, repeat_minor, parameters='parameters') -%}
    (
        {{ parameters }}.p * (100 * {{ parameters }}.v + greatest({{ repeat_minor }}, 0))
        / ({{ parameters }}.p * {{ repeat_count }} + {{ parameters }}.q - 1)
    )
{%- endmacro %}
