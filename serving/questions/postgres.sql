-- name: columns
-- The columns of a table or view that people read, in their order, each with its type and the type of its elements if
-- it is an array.
select
    pg_attribute.attname as name,
    pg_type.typname as type,
    pg_attribute.atttypmod as modifier,
    element.typname as element
from pg_class
inner join pg_attribute on pg_class.oid = pg_attribute.attrelid
inner join pg_type on pg_attribute.atttypid = pg_type.oid
left join pg_type as element on pg_type.typelem = element.oid and pg_type.typcategory = 'A'
where
    pg_class.relnamespace = to_regnamespace('public')
    and pg_class.relkind in ('r', 'v', 'm', 'p')
    and pg_class.relname = :name
    and pg_attribute.attnum > 0
    and not pg_attribute.attisdropped
order by pg_attribute.attnum;

-- name: tables
-- The tables and views that people read; a table that is only locked has no columns.
select pg_class.relname
from pg_class
where
    pg_class.relnamespace = to_regnamespace('public')
    and pg_class.relkind in ('r', 'v', 'm', 'p')
    and pg_class.relnatts > 0
order by pg_class.relname
