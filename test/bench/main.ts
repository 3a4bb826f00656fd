// npm run bench [-- --quick] [--json] [--setting TEXT] [--part tasks|workflows|steps]: what Ergon does on this machine, and what the server, the
// wire and XState alone would do, in the same run.
import { cpus } from "node:os";
import { parseArgs } from "node:util";

import { measureFloor, type Floor } from "./floor.ts";
import { Load } from "./load.ts";
import { progress } from "./progress.ts";
import { printReport } from "./report.ts";
import { settings, startStage, type Setting } from "./stage.ts";
import { measureSteps } from "./steps.ts";
import { measureTasks, type TaskSizes, type Tasks } from "./tasks.ts";
import { measureWorkflows, type Workflows, type WorkflowSizes } from "./workflows.ts";

export interface Result {
  readonly setting: string;
  readonly floor: Floor;
  readonly tasks: Tasks | undefined;
  readonly workflows: Workflows | undefined;
}

interface Sizes {
  readonly floor: number;
  readonly steps: number;
  readonly tasks: TaskSizes;
  readonly workflows: WorkflowSizes;
}

const full: Sizes = {
  floor: 50_000,
  steps: 60_000,
  tasks: {
    warmUp: 40_000,
    tasks: 100_000,
    sequential: 3_000,
    seconds: 8,
    killed: 2_000,
    live: 100_000,
    retained: 1_000_000,
  },
  workflows: { workflows: 20_000, sequential: 1_000, killed: 500, timers: 20_000, waiting: 20_000 },
};
const quick: Sizes = {
  floor: 20_000,
  steps: 20_000,
  tasks: {
    warmUp: 15_000,
    tasks: 30_000,
    sequential: 1_000,
    seconds: 3,
    killed: 600,
    live: 20_000,
    retained: 100_000,
  },
  workflows: { workflows: 3_000, sequential: 200, killed: 500, timers: 20_000, waiting: 10_000 },
};

const { values } = parseArgs({
  options: {
    quick: { type: "boolean" },
    json: { type: "boolean" },
    setting: { type: "string" },
    part: { type: "string" },
  },
});
const sizes = values.quick === true ? quick : full;
const wants = (part: string): boolean => values.part === undefined || values.part === part;
progress("steps");
const steps = wants("steps") ? measureSteps(sizes.steps) : undefined;
const results: Result[] = [];
for (const setting of values.part === "steps" ? [] : settings)
  if (values.setting === undefined || setting.name.includes(values.setting)) results.push(await measure(setting));
const machine = `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}, Node ${process.version}`;
if (values.json === true) process.stdout.write(`${JSON.stringify({ machine, sizes, steps, results }, undefined, 2)}\n`);
else printReport(machine, steps, results);

async function measure(setting: Setting): Promise<Result> {
  progress(`${setting.name}: floor`);
  const stage = await startStage(setting);
  const floor = await measureFloor(stage.urls, setting, sizes.floor);
  const node = await stage.node();
  const load = await Load.connect(stage.urls);
  const workflows = wants("workflows") ? await measureWorkflows(stage, load, node, sizes.workflows) : undefined;
  const tasks = wants("tasks") ? await measureTasks(stage, load, node, sizes.tasks) : undefined;
  await load.close();
  await stage.stop();
  return { setting: setting.name, floor, tasks, workflows };
}
