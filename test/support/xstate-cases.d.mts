import type { AnyStateMachine } from "xstate";

import type { CourseOptions, Step } from "./machine-twins.ts";

export const cases: readonly (readonly [
  title: string,
  machine: AnyStateMachine,
  steps: readonly Step[],
  options?: CourseOptions,
])[];
