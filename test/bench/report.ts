import type { Result } from "./main.ts";
import type { StepCost, StepCosts } from "./steps.ts";
import type { Tasks } from "./tasks.ts";
import type { Workflow, Workflows } from "./workflows.ts";

const WIDTH = 54;
const COLUMN = 20;

type Row<T> = readonly [name: string, cell: (figures: T) => string];

const floorRows: readonly Row<Result>[] = [
  ["floor: fenced create + update, pairs/s", ({ floor }) => count(floor.pairsPerSecond)],
  ["floor: requests and replies/s", ({ floor }) => count(floor.requestsPerSecond)],
];

const taskRows: readonly Row<Tasks & Result>[] = [
  ["tasks/s one by one", ({ oneByOnePerSecond }) => count(oneByOnePerSecond)],
  ["  share of the floor", ({ oneByOnePerSecond, floor }) => (oneByOnePerSecond / floor.pairsPerSecond).toFixed(2)],
  ["tasks/s in batches of 1,000", ({ bulkPerSecond }) => count(bulkPerSecond)],
  ["round trip, one at a time, p50 / p99 ms", ({ sequentialMs }) => pair(sequentialMs.p50, sequentialMs.p99)],
  ["round trip at half load, p50 / p99 ms", ({ halfLoadMs }) => pair(halfLoadMs.p50, halfLoadMs.p99)],
  [
    "CPU µs/task: node / server",
    ({ cpuUsPerTask }) => `${cpuUsPerTask.node.toFixed(0)} / ${cpuUsPerTask.server.toFixed(0)}`,
  ],
  [
    "CPU µs/task: agent / client",
    ({ cpuUsPerTask }) => `${cpuUsPerTask.agent.toFixed(0)} / ${cpuUsPerTask.client.toFixed(0)}`,
  ],
  [
    "bytes allocated/task: node / agent",
    ({ allocatedBytesPerTask: { node, agent } }) => `${count(node)} / ${count(agent)}`,
  ],
  [
    "server bytes/task: memory / disk",
    ({ serverBytesPerTask }) => `${serverBytesPerTask.memory.toFixed(0)} / ${serverBytesPerTask.disk.toFixed(0)}`,
  ],
  [
    "longest delay by kill -9: agent / node, ms",
    ({ recovery }) => (recovery === undefined ? "" : `${recovery.agentMs.toFixed(0)} / ${recovery.nodeMs.toFixed(0)}`),
  ],
  [
    "bytes of a waiting task: node / server",
    ({ scale }) =>
      scale === undefined ? "" : `${scale.parkedBytesInNode.toFixed(0)} / ${scale.parkedBytesInServer.toFixed(0)}`,
  ],
  ["take-over of half the shards, ms", ({ scale }) => (scale === undefined ? "" : scale.takeOverMs.toFixed(0))],
  [
    "  with live / retained tasks",
    ({ scale }) => (scale === undefined ? "" : `${count(scale.live)} / ${count(scale.retained)}`),
  ],
];

function workflowRows(what: string, of: (workflows: Workflows) => Workflow): readonly Row<Workflows>[] {
  return [
    [`${what}, five tasks: how many/s`, (all) => count(of(all).perSecond)],
    ["  one at a time, p50 / p99 ms", (all) => pair(of(all).sequentialMs.p50, of(all).sequentialMs.p99)],
    [
      "  CPU µs: node / agent / server",
      (all) => [of(all).cpuUs.node, of(all).cpuUs.agent, of(all).cpuUs.server].map(count).join(" / "),
    ],
    ["  longest delay by kill -9 of a node, ms", (all) => count(of(all).killedMs)],
  ];
}

const allWorkflowRows: readonly Row<Workflows>[] = [
  ...workflowRows("machines", ({ machine }) => machine),
  ...workflowRows("plans", ({ plan }) => plan),
  ["bytes of a waiting instance in its node", ({ waitingBytes }) => count(waitingBytes)],
  ["instances that ergon check looks at/s", ({ checkedPerSecond }) => count(checkedPerSecond)],
  ["timers due in one second", ({ timers }) => count(timers.count)],
  [
    "  late by least / p50 / p99 ms",
    ({ timers: { latenessMs } }) => [latenessMs.least, latenessMs.p50, latenessMs.p99].map(count).join(" / "),
  ],
];

const stepRows: readonly Row<StepCost>[] = [
  ["XState alone", ({ plainUs }) => plainUs.toFixed(1)],
  ["XState alone, and its persisted snapshot", ({ plainPersistedUs }) => plainPersistedUs.toFixed(1)],
  ["Ergon's step", ({ stepUs }) => stepUs.toFixed(1)],
  ["Ergon's step and its record", ({ withRecordUs }) => withRecordUs.toFixed(1)],
  ["bytes of the record", ({ recordBytes }) => count(recordBytes)],
];

/** One column a setting, one row a figure. */
export function printReport(machine: string, steps: StepCosts | undefined, results: readonly Result[]): void {
  const out = [machine];
  if (steps !== undefined)
    out.push("", ...table(["two states", "five tasks"], stepRows, [steps.flips, steps.five], "CPU µs of a step"));
  const names = results.map(({ setting }) => setting);
  if (results.length > 0) out.push("", ...table(names, floorRows, results));
  const tasks = results.flatMap((result) => (result.tasks === undefined ? [] : [{ ...result, ...result.tasks }]));
  if (tasks.length > 0) out.push(...table([], taskRows as readonly Row<unknown>[], tasks));
  const workflows = results.flatMap((result) => (result.workflows === undefined ? [] : [result.workflows]));
  if (workflows.length > 0) out.push(...table([], allWorkflowRows, workflows));
  process.stdout.write(`${out.join("\n")}\n`);
}

function table<T>(heads: readonly string[], rows: readonly Row<T>[], columns: readonly T[], title = ""): string[] {
  const line = (name: string, cells: readonly string[]): string =>
    name.padEnd(WIDTH) + cells.map((cell) => cell.padStart(COLUMN)).join("");
  return [
    ...(heads.length === 0 ? [] : [line(title, heads)]),
    ...rows.map(([name, cell]) => line(name, columns.map(cell))),
  ];
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function pair(p50: number, p99: number): string {
  return `${p50.toFixed(2)} / ${p99.toFixed(2)}`;
}
