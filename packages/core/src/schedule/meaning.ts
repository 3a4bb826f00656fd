import { PLAN } from "../base/built-in.ts";
import { sameValue } from "../base/same-value.ts";
import { planMeaning } from "../plan/meaning.ts";
import { taskMeaning } from "../wire/task-meaning.ts";
import type { RunSpec, Schedule, When } from "./spec.ts";

/** Returns the meaning of a schedule's spec, independent of its spelling. */
export function scheduleMeaning({ when, run, ...rest }: Schedule): unknown {
  return { ...rest, when: whenMeaning(when), run: runMeaning(run) };
}

/** Returns true if two specs have the same meaning. */
export function sameSchedule(a: Schedule, b: Schedule): boolean {
  return sameValue(scheduleMeaning(a), scheduleMeaning(b));
}

function whenMeaning(when: When): When {
  return when.kind === "cron" ? { ...when, cron: when.cron.trim().replaceAll(/\s+/g, " ") } : when;
}

function runMeaning(run: RunSpec): unknown {
  if (run.kind === "task") return { kind: run.kind, task: taskMeaning(run.task) };
  return run.machine === PLAN ? { ...run, input: planMeaning(run.input) } : run;
}
