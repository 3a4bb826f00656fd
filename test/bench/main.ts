// npm run bench [-- --quick] [--json] [--setting TEXT] [--part tasks|pace|workflows|steps|commands]: what Ergon does on this machine, and what the server, the
// wire and XState alone would do, in the same run. `pace` is `tasks` without processes that are killed.
//   --profile node|agent|server   a CPU profile of one process under single tasks: a file, and a summary by message, package and function
//   --profile node --allocations  a profile of what it allocates instead
//   --compare REF [--rounds N]    this checkout and another commit in turn, as ratios
import { cpus } from "node:os";
import { parseArgs } from "node:util";

import { measureCommands, printCommands } from "./commands.ts";
import { compare } from "./compare.ts";
import { measureFloor, type Floor } from "./floor.ts";
import { Load } from "./load.ts";
import { profile, profiled } from "./profile/main.ts";
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
    profile: { type: "string" },
    allocations: { type: "boolean", default: false },
    compare: { type: "string" },
    rounds: { type: "string", default: "3" },
  },
});
const sizes = values.quick === true ? quick : full;
const chosen = settings.filter(({ name }) => values.setting === undefined || name.includes(values.setting));
if (values.compare !== undefined) await compare(values.compare, Number(values.rounds), optionsOfARound());
else if (values.profile !== undefined) await profileOf(values.profile);
else await report();

function optionsOfARound(): string[] {
  const { quick: isQuick, setting, part } = values;
  return [
    ...(isQuick === true ? ["--quick"] : []),
    ...(setting === undefined ? [] : ["--setting", setting]),
    ...(part === undefined ? [] : ["--part", part]),
  ];
}

async function profileOf(who: string): Promise<void> {
  const known = profiled.find((each) => each === who);
  const [setting] = chosen;
  if (known === undefined) throw new Error(`--profile ${who}: profile one of ${profiled.join(", ")}`);
  if (setting === undefined) throw new Error(`--setting ${values.setting}: no setting has this in its name`);
  const { warmUp, seconds } = sizes.tasks;
  await profile(setting, { who: known, allocations: values.allocations, warmUp, seconds });
}

async function report(): Promise<void> {
  progress("steps");
  const steps = wants("steps") ? measureSteps(sizes.steps) : undefined;
  const results: Result[] = [];
  progress("commands");
  const commands = wants("commands") ? await measureCommands() : [];
  if (!["steps", "commands"].includes(values.part ?? ""))
    for (const setting of chosen) results.push(await measure(setting));
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}, Node ${process.version}`;
  if (values.json === true)
    process.stdout.write(`${JSON.stringify({ machine, sizes, steps, commands, results }, undefined, 2)}\n`);
  else {
    printReport(machine, steps, results);
    printCommands(commands);
  }
}

function wants(part: string): boolean {
  return values.part === undefined || values.part === part;
}

async function measure(setting: Setting): Promise<Result> {
  progress(`${setting.name}: floor`);
  const stage = await startStage(setting);
  const floor = await measureFloor(stage.urls, setting, sizes.floor);
  const node = await stage.node();
  const load = await Load.connect(stage.urls);
  const workflows = wants("workflows") ? await measureWorkflows(stage, load, node, sizes.workflows) : undefined;
  const tasks =
    wants("tasks") || wants("pace") ? await measureTasks(stage, load, node, sizes.tasks, wants("tasks")) : undefined;
  await load.close();
  await stage.stop();
  return { setting: setting.name, floor, tasks, workflows };
}
