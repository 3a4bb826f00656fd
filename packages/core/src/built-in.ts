import type { Machine } from "./actor/machine.ts";
import type { BuiltInName } from "./base/built-in.ts";
import { planMachine } from "./plan/plan.machine.ts";
import { scheduleMachine } from "./schedule/schedule.machine.ts";
import { taskMachine } from "./task/task.machine.ts";

const byName: Readonly<Record<BuiltInName, Machine>> = {
  task: taskMachine,
  plan: planMachine,
  schedule: scheduleMachine,
};

/** The machines that Ergon brings: every node knows them. */
export const builtInMachines: readonly Machine[] = Object.values(byName);
