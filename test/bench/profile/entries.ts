import type { Entry } from "./summary.ts";

/** The kinds of work of each process, by the functions that begin them. */
export const entriesOf: Readonly<Record<"node" | "agent" | "server", readonly Entry[]>> = {
  node: [
    { name: "garbage collection", begins: /^\(garbage collector\)/ },
    { name: "an agent's answer: read, step", begins: /serve\/agent-answers\.ts$/ },
    { name: "a submit: read, create, step", begins: /serve\/(request-router|shard-messages)\.ts$/ },
    { name: "a record: encode, send to the store", begins: /^#send .*shard\/commit-queue\.ts$/ },
    { name: "a stored record: dispatch, answer, publish", begins: /^#conclude .*shard\/commit-queue\.ts$/ },
    { name: "agents: heartbeats, free slots", begins: /dispatch\/(agents|credit)[\w-]*\.ts$/ },
    { name: "tasks that start from the queue", begins: /dispatch\/[\w-]+\.ts$/ },
    { name: "socket: write", begins: /nats\/outbound\.ts$/ },
    { name: "the store's acknowledgements: read", begins: /nats\/replies\.ts$/ },
    { name: "NATS protocol: parse", begins: /nats-core\/lib\/parser\.js$/ },
  ],
  agent: [
    { name: "garbage collection", begins: /^\(garbage collector\)/ },
    { name: "an attempt: read, run, answer", begins: /agents\/src\/[\w-]+\.ts$/ },
    { name: "socket: write", begins: /nats\/outbound\.ts$/ },
    { name: "NATS protocol: parse", begins: /nats-core\/lib\/parser\.js$/ },
  ],
  server: [
    { name: "garbage collection", begins: /^runtime\.(gcBgMarkWorker|bgsweep|bgscavenge|gcDrain)/ },
    { name: "streams: store a record", begins: /\(\*stream\)\.processJetStreamMsg / },
    { name: "streams: acknowledge a record", begins: /\(\*stream\)\.internalLoop / },
    { name: "streams: consumers and watches", begins: /\(\*(stream\)\.signalConsumersLoop|consumer\)\.\w+) / },
    { name: "clients: read and route a message", begins: /\(\*client\)\.readLoop / },
    { name: "clients: write to the socket", begins: /\(\*client\)\.writeLoop / },
    { name: "Go's scheduler", begins: /^runtime\.(mcall|mstart|schedule|park_m)/ },
  ],
};
