import type { Bus } from "./bus.ts";
import type { LeaseStore } from "./lease.ts";
import type { RecordStore } from "./store.ts";

/** What a process reaches the world by: one connection's bus and stores of one namespace. */
export interface Ports {
  readonly bus: Bus;
  readonly records: RecordStore;
  readonly leases: LeaseStore;
  /** Gives up the connection. Idempotent. */
  close(): Promise<void>;
}
