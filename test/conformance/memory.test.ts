import {
  createMemoryNetwork,
  createSystemClock,
  describeBus,
  describeLeaseStore,
  describeRecordStore,
  seededRandom,
} from "@ergon/core/testing";
import type { Suite } from "@ergon/core/testing";
import { describe, test } from "vitest";

const suiteOf = (buckets: number, oneInFlight: boolean): Suite => ({
  open: async () => {
    const network = createMemoryNetwork({ clock: createSystemClock(), random: seededRandom(7), buckets, oneInFlight });
    return { connect: async () => network.connect(), close: async () => undefined };
  },
});

describe("in memory", () => {
  const suite = suiteOf(1, false);
  describeBus({ describe, test }, suite);
  describeRecordStore({ describe, test }, suite);
  describeLeaseStore({ describe, test }, suite);
});

describe("in memory, four buckets, one commit in flight", () => {
  describeRecordStore({ describe, test }, suiteOf(4, true));
});
