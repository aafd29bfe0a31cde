-- Who counts which partition of a feed. An owner holds a lease as long as it is heard; one that was silent for a set
-- time can be overtaken. Each takeover raises the epoch, and each transaction that counts checks the epoch, so that an
-- owner that was overtaken changes nothing more.
create table leases (
    feed text not null,
    partition integer not null,
    owner text not null,
    epoch bigint not null,
    heard_at timestamptz not null,
    silent_s double precision not null,
    session integer not null,
    session_since timestamptz not null,
    primary key (feed, partition),
    -- Makes the epoch part of a key: a takeover then waits for transactions that hold the row `for key share`, while a
    -- heartbeat, which changes heard_at only, does not.
    unique (feed, partition, epoch)
);
comment on table leases is 'who counts which partition of a feed; see speed_layer/engine/lease.py';
comment on column leases.owner is 'host, process and its start; see speed_layer/engine/owner.py';
comment on column leases.epoch is 'raised by each takeover; a transaction that counts checks it';
comment on column leases.heard_at is 'when the owner was last heard; -infinity: it has given the lease back';
comment on column leases.silent_s is 'seconds without a heartbeat after which others may take the lease over';
comment on column leases.session is 'the PostgreSQL process of the owner''s transactions, ended by a takeover';
comment on column leases.session_since is 'when that process began';
grant select, insert, update on leases to bytemeter_writer;
