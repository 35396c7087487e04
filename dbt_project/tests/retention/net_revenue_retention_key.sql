-- Generic key tests name the columns bare, and `window` is a reserved word.
select
    retention.window,
    retention.window_end_on,
    count(*) as row_count
from {{ ref('net_revenue_retention') }} as retention
group by
    retention.window,
    retention.window_end_on
having count(*) > 1
