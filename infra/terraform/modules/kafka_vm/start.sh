#!/bin/bash
# Runs at each start of the machine: what is done already is left as it is. Values in $${…} come from Terraform.
set -euo pipefail

data=/var/lib/kafka
disk=/dev/disk/by-id/google-kafka-data
blkid "$disk" >/dev/null || mkfs.ext4 -q "$disk"
mkdir -p "$data"
mountpoint -q "$data" || mount -o noatime "$disk" "$data"

if [ ! -d /opt/kafka ]; then
  apt-get update -q
  apt-get install -y -q openjdk-17-jre-headless
  curl -fsSL -o /tmp/kafka.tgz "${archive_url}"
  echo "${sha512}  /tmp/kafka.tgz" | sha512sum --check --quiet
  mkdir /opt/kafka.new
  tar -xzf /tmp/kafka.tgz -C /opt/kafka.new --strip-components=1
  mv /opt/kafka.new /opt/kafka
fi
id kafka >/dev/null 2>&1 || useradd --system --home-dir "$data" kafka
install -d -o kafka -g kafka -m 0700 "$data/log"

cat >/opt/kafka/config/bytemeter.properties <<'PROPERTIES'
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://localhost:9093
advertised.listeners=PLAINTEXT://${host}:9092
controller.listener.names=CONTROLLER
log.dirs=/var/lib/kafka/log
num.partitions=${partitions}
log.retention.hours=${hours}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=false
PROPERTIES

if [ ! -f "$data/log/meta.properties" ]; then
  runuser -u kafka -- /opt/kafka/bin/kafka-storage.sh format \
    --cluster-id "$(/opt/kafka/bin/kafka-storage.sh random-uuid)" --config /opt/kafka/config/bytemeter.properties
fi

cat >/etc/systemd/system/kafka.service <<'UNIT'
[Unit]
Description=Kafka
After=network-online.target
RequiresMountsFor=/var/lib/kafka

[Service]
User=kafka
Environment=KAFKA_HEAP_OPTS=-Xmx512m LOG_DIR=/var/lib/kafka/log4j
ExecStart=/opt/kafka/bin/kafka-server-start.sh /opt/kafka/config/bytemeter.properties
Restart=on-failure
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
UNIT
install -d -o kafka -g kafka -m 0700 "$data/log4j"
systemctl daemon-reload
systemctl restart kafka
