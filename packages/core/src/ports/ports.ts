import type { Bus } from "./bus.ts";
import type { LeaseStore } from "./lease.ts";
import type { RecordStore } from "./store.ts";

/** A process's access to the outside, which is the bus and the stores of one namespace over one connection. */
export interface Ports {
  readonly bus: Bus;
  readonly records: RecordStore;
  readonly leases: LeaseStore;
  /** Closes the connection. Idempotent. */
  close(): Promise<void>;
}
