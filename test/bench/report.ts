import type { Result } from "./main.ts";

/** One column a setting, one row a figure. */
export function printReport(machine: string, results: readonly Result[]): void {
  const rows: [string, (result: Result) => string][] = [
    ["floor: fenced create + update, pairs/s", ({ floor }) => count(floor.pairsPerSecond)],
    ["floor: requests and replies/s", ({ floor }) => count(floor.requestsPerSecond)],
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
      "server bytes/task: memory / disk",
      ({ serverBytesPerTask }) => `${serverBytesPerTask.memory.toFixed(0)} / ${serverBytesPerTask.disk.toFixed(0)}`,
    ],
    [
      "longest delay by kill -9: agent / node, ms",
      ({ recovery }) => `${recovery.agentMs.toFixed(0)} / ${recovery.nodeMs.toFixed(0)}`,
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
    ["alarms set/s", ({ alarms }) => count(alarms.setPerSecond)],
    [
      "alarms due at once: how many / all heard after ms",
      ({ alarms }) => `${count(alarms.count)} / ${count(alarms.allMs)}`,
    ],
    ["  late by p50 / p99 ms", ({ alarms }) => `${count(alarms.latenessMs.p50)} / ${count(alarms.latenessMs.p99)}`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const column = 18;
  const line = (name: string, cells: readonly string[]): string =>
    name.padEnd(width) + cells.map((cell) => cell.padStart(column)).join("");
  const lines = [
    machine,
    "",
    line(
      "",
      results.map(({ setting }) => setting),
    ),
    ...rows.map(([name, cell]) => line(name, results.map(cell))),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function pair(p50: number, p99: number): string {
  return `${p50.toFixed(2)} / ${p99.toFixed(2)}`;
}
