-- A bracket runs forward from period 0 or later.
select *
from {{ ref('retention_bracket_bounds') }}
where
    from_index < 0
    or to_index < from_index
