// The public API of the node.
export { createLogger } from "./logger.ts";
export { createNode } from "./node.ts";
export { loadMachines } from "./load-machines.ts";
export { resolveNodeOptions } from "./options.ts";
export { startNode } from "./start-node.ts";

export type { DriverOptions, LogOptions, NodeOptions, ResolvedNodeOptions } from "./options.ts";
export type { HeapGauge } from "./heap.ts";
export type { MachineSource } from "./load-machines.ts";
export type { Node, NodeParts } from "./start-node.ts";
