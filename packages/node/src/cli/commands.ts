import type { Command } from "commander";

import type { Cli } from "./session.ts";

/** Gives a command its arguments, flags and action. */
type Configure = (command: Command, cli: Cli) => void;

interface CommandEntry {
  readonly name: string;
  /** The arguments in the list of all commands, with `[options]` if the command has flags. */
  readonly usage: string;
  readonly summary: string;
  /** Loads the rest of the command. The command line loads only the command that runs, or whose help it shows. */
  load(): Promise<Configure>;
}

/** Every command, under the titles of the help. */
export const commandGroups: Readonly<Record<string, readonly CommandEntry[]>> = {
  "Run:": [
    {
      name: "dev",
      usage: "[options]",
      summary: "run NATS, a node and the bundled agents on this machine",
      load: async () => (await import("./commands/dev.ts")).dev,
    },
    {
      name: "node",
      usage: "[options]",
      summary: "run a node",
      load: async () => (await import("./commands/node.ts")).node,
    },
    {
      name: "agent",
      usage: "[options] [program...]",
      summary: "run an agent of bundled drivers, or of any program",
      load: async () => (await import("./commands/agent.ts")).agent,
    },
  ],
  "Tasks:": [
    {
      name: "submit",
      usage: "[options] <driver> [payload]",
      summary: "store a task",
      load: async () => (await import("./commands/submit.ts")).submit,
    },
    {
      name: "batch",
      usage: "[options] [file]",
      summary: "store many tasks, all or none",
      load: async () => (await import("./commands/batch.ts")).batch,
    },
    {
      name: "get",
      usage: "<id>",
      summary: "show a task or an instance",
      load: async () => (await import("./commands/get.ts")).get,
    },
    {
      name: "wait",
      usage: "[options] <id>",
      summary: "wait until a task or an instance has ended",
      load: async () => (await import("./commands/wait.ts")).wait,
    },
    {
      name: "watch",
      usage: "<id>",
      summary: "follow a task or an instance",
      load: async () => (await import("./commands/watch.ts")).watch,
    },
    {
      name: "cancel",
      usage: "[options] <id>",
      summary: "cancel a task or an instance",
      load: async () => (await import("./commands/cancel.ts")).cancel,
    },
    {
      name: "retry",
      usage: "[options] <id>",
      summary: "submit a failed task again",
      load: async () => (await import("./commands/retry.ts")).retry,
    },
    {
      name: "end",
      usage: "[options] <id>",
      summary: "end a task or an instance by force",
      load: async () => (await import("./commands/end.ts")).end,
    },
    {
      name: "ls",
      usage: "[options]",
      summary: "list tasks and instances",
      load: async () => (await import("./commands/ls.ts")).ls,
    },
  ],
  "Machines:": [
    {
      name: "start",
      usage: "[options] <machine> [input]",
      summary: "start an instance of a machine",
      load: async () => (await import("./commands/start.ts")).start,
    },
    {
      name: "send",
      usage: "[options] <id> <event> [fields]",
      summary: "send an event to an instance",
      load: async () => (await import("./commands/send.ts")).send,
    },
    {
      name: "ask",
      usage: "[options] <id> <event> [fields]",
      summary: "send an event, wait, and print the result",
      load: async () => (await import("./commands/ask.ts")).ask,
    },
    {
      name: "can",
      usage: "<id>",
      summary: "show which events an instance takes",
      load: async () => (await import("./commands/can.ts")).can,
    },
    {
      name: "migrate",
      usage: "[options] <machine>",
      summary: "move instances to another version of their machine",
      load: async () => (await import("./commands/migrate.ts")).migrate,
    },
    {
      name: "check",
      usage: "[options]",
      summary: "check which instances would break with other machines",
      load: async () => (await import("./commands/check.ts")).check,
    },
    {
      name: "plan",
      usage: "",
      summary: "run many steps in order, at once or as a graph",
      load: async () => (await import("./commands/plan.ts")).plan,
    },
    {
      name: "schedule",
      usage: "",
      summary: "start tasks, machines and plans later, at an interval, or by cron",
      load: async () => (await import("./commands/schedule.ts")).schedule,
    },
  ],
  "Cluster:": [
    {
      name: "nodes",
      usage: "",
      summary: "show the nodes",
      load: async () => (await import("./commands/nodes.ts")).nodes,
    },
    {
      name: "agents",
      usage: "",
      summary: "show the agents",
      load: async () => (await import("./commands/agents.ts")).agents,
    },
    {
      name: "shards",
      usage: "",
      summary: "show which node hosts each shard",
      load: async () => (await import("./commands/shards.ts")).shards,
    },
    {
      name: "doctor",
      usage: "[options]",
      summary: "check what Ergon's guarantees rest on",
      load: async () => (await import("./commands/doctor.ts")).doctor,
    },
  ],
};
