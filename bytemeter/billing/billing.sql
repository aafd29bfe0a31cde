-- name: note_zone
-- Writes the billing zone, unless there is one.
insert into billing_zone (zone) values (:zone)
on conflict do nothing;

-- name: billing_zone
-- Reads the billing zone.
select zone from billing_zone;
