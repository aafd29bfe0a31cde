-- An agreement may end: from then on it owns no records.
alter table agreement_versions add column service_end_at timestamptz;
alter table agreements add column service_end_at timestamptz;
comment on column agreement_versions.service_end_at is
'from when on the agreement owns no records, as long as this version holds; null if it was not cancelled';
comment on column agreements.service_end_at is
'from when on it owns no records, as its last version says; null if it was not cancelled';
