export { createManualClock } from "./clock.ts";
export { createMemoryNetwork } from "./network.ts";

export type { Faults, Storage } from "./broker.ts";
export type { ManualClock, ProcessClock } from "./clock.ts";
export type { MemoryNetwork, MemoryNetworkOptions, MemoryProcess, ProcessOptions } from "./network.ts";
