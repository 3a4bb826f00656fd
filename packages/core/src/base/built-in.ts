/** The machines that Ergon brings, by name; `core/src/built-in.ts` has the machines. */
export const TASK = "task";
export const PLAN = "plan";
export const SCHEDULE = "schedule";
export type BuiltInName = "task" | "plan" | "schedule";
export const builtInNames: readonly BuiltInName[] = [TASK, PLAN, SCHEDULE];

/** Names that belong to Ergon: no user's machine has one of them. A machine for each of the last five is planned. */
export const reservedNames: readonly string[] = [
  ...builtInNames,
  ...["service", "broadcast", "graph", "command", "agent"],
];

export function isBuiltIn(name: string): name is BuiltInName {
  return builtInNames.some((one) => one === name);
}

export function isReserved(name: string): boolean {
  return reservedNames.includes(name);
}
