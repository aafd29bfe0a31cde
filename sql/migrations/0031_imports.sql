-- The manifest of `bytemeter import`: what became of each file, and how far it is sent.
create table imports (
    file_hash text collate "C" primary key,
    feed text not null,
    name text not null,
    size bigint not null,
    lines bigint not null default 0,
    accepted bigint not null default 0,
    invalid bigint not null default 0,
    repeated bigint not null default 0,
    next_line bigint not null default 1,
    state text not null default 'importing' check (state in ('importing', 'done', 'failed')),
    reason text not null default '',
    started_at timestamptz not null default now(),
    noted_at timestamptz not null default now(),
    check (lines = accepted + invalid + repeated)
);
comment on table imports is 'a row for each content that was imported; its counts grow as Kafka acknowledges';
comment on column imports.file_hash is 'SHA-256 of the content, inflated; of a file that cannot be inflated, as it is';
comment on column imports.size is 'bytes of the content, inflated';
comment on column imports.repeated is 'valid lines with the event id and event hour of a line shortly before; not sent';
comment on column imports.next_line is 'lines before this one are acknowledged by Kafka, or refused';
comment on column imports.reason is 'why the file failed';

create table import_offsets (
    file_hash text collate "C" not null references imports,
    partition integer not null,
    first_offset bigint not null,
    last_offset bigint not null,
    primary key (file_hash, partition)
);
comment on table import_offsets is 'where the accepted lines of a file are on its topic; those of others lie between';

grant select, insert, update on imports, import_offsets to bytemeter_writer;
