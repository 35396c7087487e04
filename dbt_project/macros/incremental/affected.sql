{#
  Increments by what is affected. A load names the files that it touched (raw.touched_files); staging judges anew the rows
  whose key stands in these files and notes whom and what they concern (staging.touched); from that follow the
  affected customers and orders. A model with `incremental_strategy: affected` deletes the rows of these and inserts
  them computed anew from their whole history, so that the result is that of a rebuild.

  All of raw.touched_files, staging.touched and int_customers_affected are kept until a build has gone through, so that a build that was
  killed is caught up on by the next one, whatever it had finished.
#}

{# Rows that a model with the strategy `affected` recomputes: a condition for its where clause. #}
{% macro is_affected(by, customer_id='customer_id', order_id='order_id', interaction_id='interaction_id') -%}
    {#- Outside the branch, or dbt would not see the dependency while it parses. -#}
    {%- set condition = affected_condition(by, customer_id, order_id, interaction_id) -%}
    {{- condition if is_incremental() else 'true' -}}
{%- endmacro %}

{% macro affected_condition(by, customer_id='customer_id', order_id='order_id', interaction_id='interaction_id') -%}
    {%- if by == 'customer' -%}
        {{ customer_id }} in (select affected.customer_id from {{ ref('int_customers_affected') }} as affected)
    {%- elif by == 'order' -%}
        {{ order_id }} in (select affected.order_id from {{ ref('int_orders_affected') }} as affected)
    {%- elif by == 'interaction' -%}
        (
            {{ interaction_id }} in (select affected.interaction_id from {{ ref('int_interactions_affected') }} as affected)
            or {{ customer_id }} in (select affected.customer_id from {{ ref('int_customers_affected') }} as affected)
        )
    {%- else -%}
        {{ exceptions.raise_compiler_error("affected by '" ~ by ~ "': customer, order or interaction") }}
    {%- endif -%}
{%- endmacro %}

{# dbt's hook for the strategy of that name. What a row is affected by stands in the model's meta. #}
{% macro get_incremental_affected_sql(arguments) %}
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | join(', ') -%}
    {%- if config.get('meta').is_summed %}
    {{ keep_replaced(arguments.target_relation, arguments.temp_relation) }}
    {%- endif %}
    delete from {{ arguments.target_relation }}
    where {{ affected_condition(config.get('meta').affected_by) }};

    insert into {{ arguments.target_relation }} ({{ columns }})
    select {{ columns }} from {{ arguments.temp_relation }};
{% endmacro %}

{#
  Strategy of staging: rows of touched files and all rows that share a key with one of them are replaced; the customers,
  orders and interactions that the old or the new rows name are noted, in the same transaction.
#}
{% macro get_incremental_rejudged_sql(arguments) %}
    {%- set table = model.name[4:-8] -%}
    {%- set names = var('contract')[table].columns -%}
    {%- set key = var('contract')[table].key -%}
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | join(', ') -%}
    {%- set of_touched_file = is_of_touched_file() -%}
    {%- set of_rejudged_key -%}
        {{ key[0] }} in (select rejudged.{{ key[0] }} from {{ arguments.temp_relation }} as rejudged)
        {%- if key | length > 1 %}
        and exists (
            select 1
            from {{ arguments.temp_relation }} as rejudged
            where
                rejudged.{{ key[0] }} = replaced.{{ key[0] }}
            {%- for column in key[1:] %}
                and rejudged.{{ column }} is not distinct from replaced.{{ column }}
            {%- endfor %}
        )
        {%- endif %}
    {%- endset -%}
    {%- for relation, condition in [
        (arguments.temp_relation, 'true'),
        (arguments.target_relation, of_touched_file),
        (arguments.target_relation, of_rejudged_key),
    ] %}
        {%- for customer in ['customer_id', 'alias_id'] %}
        {%- if customer in names or loop.first %}
    insert into {{ touched_relation() }} (customer_id, order_id, interaction_id)
    select distinct
        {{ customer if customer in names else 'null' }},
        {{ 'order_id' if 'order_id' in names else 'null' }},
        {{ 'interaction_id' if 'interaction_id' in names else 'null' }}
    from {{ relation }} as replaced
    where {{ condition }};
        {%- endif %}
        {%- endfor %}
    {%- endfor %}

    {%- for condition in [of_touched_file, of_rejudged_key] %}
    delete from {{ arguments.target_relation }} as replaced
    where {{ condition }};
    {%- endfor %}

    insert into {{ arguments.target_relation }} ({{ columns }})
    select {{ columns }} from {{ arguments.temp_relation }};
{% endmacro %}

{#
  Rows of the files that the loads since the last build touched. The files' names stand in the SQL, so that it is these
  files' rows that are cast and judged: a condition on a subquery meets the mapped rows after all of them were.
#}
{% macro is_of_touched_file() -%}
    {%- set files = run_query('select distinct file from raw.touched_files order by file') if execute else [] -%}
    {%- set names = [] -%}
    {%- for file in files -%}{%- do names.append(dbt.string_literal(dbt.escape_single_quotes(file[0]))) -%}{%- endfor -%}
    {{- 'source_file in (' ~ names | join(', ') ~ ')' if names else 'false' -}}
{%- endmacro %}

{% macro touched_relation() -%}
    {{ target.database }}.staging.touched
{%- endmacro %}

{# The same for a model that reads it: after all of staging has written into it. #}
{% macro touched() -%}
    {%- for table in var('contract') -%}
        {%- do ref('stg_' ~ table ~ '_checked') -%}
    {%- endfor -%}
    {{ touched_relation() }}
{%- endmacro %}

{# Before a build: what increments are kept in, for models that read it before it was ever written. #}
{% macro create_increment_tables() %}
    create schema if not exists raw;
    create schema if not exists staging;
    create table if not exists raw.touched_files (source varchar, file varchar);
    create table if not exists raw.rebuilt_nodes (name varchar);
    create table if not exists staging.touched (customer_id varchar, order_id varchar, interaction_id varchar);
    create table if not exists raw.applied_identities (alias_id varchar, customer_id varchar);
    create table if not exists raw.applied_dates (data_start_on date, data_end_on date);
    create schema if not exists increments
{% endmacro %}

{#
  dbt's question whether a model is built anew: with --full-refresh, and where the model, a macro, a var or a seed that it
  depends on has changed since the last build that went through (raw.rebuilt_nodes, written before each build).
#}
{% macro should_full_refresh() %}
    {{ return(flags.FULL_REFRESH or is_rebuilt(model.name)) }}
{% endmacro %}

{% macro is_rebuilt(name) -%}
    {{ return(run_query("select 1 from raw.rebuilt_nodes where name = '" ~ name ~ "'") | length > 0) }}
{%- endmacro %}

{#
  dbt's question which rows a generic test is to look at. While increments are built, those that were recomputed: the
  others passed when they were. Where two rows may share a key of which only one was recomputed, all. `dbt test` looks at
  all rows.
#}
{% macro get_where_subquery(relation) -%}
    {%- if execute and flags.WHICH == 'build' and not flags.FULL_REFRESH and model.attached_node in graph.nodes -%}
        {%- set tested = graph.nodes[model.attached_node] -%}
        {%- set affected_by = tested.config.meta.affected_by -%}
        {%- set arguments = model.test_metadata.kwargs -%}
        {%- set key = arguments.get('columns', [arguments.get('column_name')]) -%}
        {%- set is_by_row = not model.test_metadata.name.startswith('unique') or affected_by ~ '_id' in key -%}
        {%- if
            affected_by in ('customer', 'order') and is_by_row
            and tested.name == relation.identifier and not is_rebuilt(tested.name)
        -%}
            {%- set affected = relation.incorporate(path={
                'database': target.database, 'schema': 'intermediate', 'identifier': 'int_' ~ affected_by ~ 's_affected'
            }) -%}
            {{ return(
                '(select * from ' ~ relation ~ ' where ' ~ affected_by ~ '_id in (select ' ~ affected_by ~ '_id from '
                ~ affected ~ ')) as recomputed'
            ) }}
        {%- endif -%}
    {%- endif -%}
    {{ return(default__get_where_subquery(relation)) }}
{%- endmacro %}

{# Whether the table is there already. #}
{% macro relation_exists(relation) -%}
    {{ return(execute and adapter.get_relation(relation.database, relation.schema, relation.identifier) is not none) }}
{%- endmacro %}
