import { type Client, type RunSpec } from "@ergon/core";
import { PLAN, isMap } from "@ergon/core/engine";

import { knownMachines } from "./known-machines.ts";

/** The needs of a schedule's runs: drivers, and machines as `order` or `order@2`. */
interface Needs {
  readonly drivers: Set<string>;
  readonly machines: Set<string>;
}

/** The needs of a schedule's runs that nobody serves now, one line each. */
export async function unservedBy(client: Client, run: RunSpec): Promise<readonly string[]> {
  const { drivers, machines } = needsOf(run);
  const [known, agents] = await Promise.all([knownMachines(client), client.agents()]);
  const served = new Set(
    agents.filter(({ state }) => state === "here").flatMap((agent) => agent.drivers.map(({ name }) => name)),
  );
  const isKnown = (machine: string): boolean => known.some((one) => one === machine || one.startsWith(`${machine}@`));
  return [
    ...[...machines]
      .filter((machine) => !isKnown(machine))
      .map((machine) => `no node knows machine ${machine}: its runs fail until a node starts that registers it`),
    ...[...drivers]
      .filter((driver) => !served.has(driver))
      .map(
        (driver) =>
          `no agent has announced driver ${driver}: its runs wait for an agent, unless a plain NATS service serves it`,
      ),
  ];
}

function needsOf(run: RunSpec): Needs {
  const needs: Needs = { drivers: new Set(), machines: new Set() };
  if (run.kind === "task") needs.drivers.add(run.task.driver);
  else if (run.machine === PLAN) collect(run.input, needs);
  else needs.machines.add(nameOf(run.machine, run.version));
  return needs;
}

/** Lists a checked plan, its steps, and the plans in them. */
function collect(plan: unknown, needs: Needs): void {
  const steps: unknown = isMap(plan) ? plan["steps"] : plan;
  for (const step of Array.isArray(steps) ? (steps as readonly unknown[]) : []) {
    if (!isMap(step)) continue;
    const { driver, machine, version, plan: inner, compensate } = step;
    if (typeof driver === "string") needs.drivers.add(driver);
    if (typeof machine === "string") needs.machines.add(nameOf(machine, version));
    if (inner !== undefined) collect(inner, needs);
    if (isMap(compensate) && typeof compensate["driver"] === "string") needs.drivers.add(compensate["driver"]);
  }
}

function nameOf(machine: string, version: unknown): string {
  return typeof version === "string" ? `${machine}@${version}` : machine;
}
