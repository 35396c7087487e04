{#
  Increments of sums over all customers. A model with `incremental_strategy: summed` adds up signed rows of tables that
  recompute affected customers: what these rows were at the last build that went through counts against, what they are
  now counts for, and the rest of the sum stands as it is. Sums of integers have no rounding, so the result is that of a
  rebuild.

  What was is kept in the schema `increments` until a build has gone through: the rows that were replaced, those that
  replace them, and the sums before the first of the builds that did not. A build that was killed is repeated from there,
  whatever it had finished.
#}

{# Rows of an affected model with meta is_summed, with a row_sign: all as 1, in an increment what is new as 1, what it replaces as −1. #}
{% macro signed_rows(model_name) -%}
    {%- set relation = ref(model_name) -%}
    {%- set replaced = kept_relation(relation, 'replaced') -%}
    {%- set is_increment = is_incremental() -%}
    {%- if is_increment and relation_exists(replaced) %}
    select
        *,
        1 as row_sign
    from {{ kept_relation(relation, 'replacing') }}

    union all

    select
        *,
        -1 as row_sign
    from {{ replaced }}
    {%- else %}
    select
        *,
        1 as row_sign
    from {{ relation }}
    {%- if is_increment %}
    -- Nothing was replaced since the last build that went through.
    where false
    {%- endif %}
    {%- endif %}
{%- endmacro %}

{% macro kept_relation(relation, what) -%}
    {{ return(api.Relation.create(
        database=target.database, schema='increments', identifier=relation.identifier ~ '_' ~ what, type='table'
    )) }}
{%- endmacro %}

{#
  Before an affected model replaces rows: keeps those of customers that it has not replaced since the last build that went
  through, and the ones that come, which are of all customers affected since then.
#}
{% macro keep_replaced(relation, replacing_relation) -%}
    {%- set replaced = kept_relation(relation, 'replaced') -%}
    {%- set replacing = kept_relation(relation, 'replacing') -%}
    {%- set customers = kept_relation(relation, 'customers') -%}
    {#- dbt looks a schema up once a run: without this, a model after this one might not find the table. -#}
    {%- do adapter.cache_added(replaced) -%}
    create table if not exists {{ replaced }} as select * from {{ relation }} limit 0;
    create table if not exists {{ customers }} (customer_id varchar);
    insert into {{ replaced }}
    select * from {{ relation }}
    where
        {{ affected_condition('customer') }}
        and customer_id not in (select kept.customer_id from {{ customers }} as kept);
    insert into {{ customers }}
    select customer_id from {{ ref('int_customers_affected') }}
    where customer_id not in (select kept.customer_id from {{ customers }} as kept);
    drop table if exists {{ replacing }};
    create table {{ replacing }} as select * from {{ replacing_relation }};
{%- endmacro %}

{# dbt's hook for the strategy of that name. Key and the column that counts rows stand in the model's meta; all others are sums. #}
{% macro get_incremental_summed_sql(arguments) %}
    {%- set key = config.get('meta').key -%}
    {%- set counted_in = config.get('meta').counted_in -%}
    {%- set before = kept_relation(arguments.target_relation, 'before') -%}
    {%- set names = arguments.dest_columns | map(attribute='name') | list -%}
    {%- set columns = names | join(', ') -%}
    create table if not exists {{ before }} as select * from {{ arguments.target_relation }};

    delete from {{ arguments.target_relation }};

    insert into {{ arguments.target_relation }} ({{ columns }})
    select
        {%- for name in names %}
        {{ name if name in key else sum_bigint(name) ~ ' as ' ~ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select {{ columns }} from {{ before }}
        union all
        select {{ columns }} from {{ arguments.temp_relation }}
    ) as parts
    group by {{ key | join(', ') }}
    having sum({{ counted_in }}) <> 0;
{% endmacro %}
