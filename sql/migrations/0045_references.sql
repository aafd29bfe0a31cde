-- Reference tables of telemetry: what is known of devices, users, contents and dialcodes. The live query
-- telemetry-denorm adds their rows to events; `bytemeter load` fills them, and SQL may change them at any time.
create table reference_devices (
    id text collate "C" primary key,
    data jsonb not null check (jsonb_typeof(data) = 'object'),
    changed_at timestamptz not null default now()
);
comment on table reference_devices is 'by context.did of an event: devicedata';

create table reference_users (
    id text collate "C" primary key,
    data jsonb not null check (jsonb_typeof(data) = 'object'),
    changed_at timestamptz not null default now()
);
comment on table reference_users is 'by actor.id of an event, of type User: userdata';

create table reference_contents (
    id text collate "C" primary key,
    data jsonb not null check (jsonb_typeof(data) = 'object'),
    changed_at timestamptz not null default now()
);
comment on table reference_contents is
'by object.id, and by l1 and l2 of its rollup: contentdata, collectiondata, l2data';

create table reference_dialcodes (
    id text collate "C" primary key,
    data jsonb not null check (jsonb_typeof(data) = 'object'),
    changed_at timestamptz not null default now()
);
comment on table reference_dialcodes is 'by object.id of a dialcode, in upper case: dialcodedata';

grant select, insert, update, delete
on reference_devices, reference_users, reference_contents, reference_dialcodes to bytemeter_writer;
