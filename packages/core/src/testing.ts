// A whole cluster in one process, with a clock and random numbers that the test controls.
export { createSystemClock } from "./base/clock.ts";
export { seededRandom } from "./base/random.ts";
export { createManualClock } from "./memory/clock.ts";
export { createMemoryNetwork } from "./memory/network.ts";

// A user's machine on the durable engine, without NATS.
export { ExplorationError, explore } from "./testing/explore.ts";
export { createTestInstance } from "./testing/test-instance.ts";

// The rules for every adapter, as tests that run on any of them.
export { describeBus } from "./testing/bus.ts";
export { describeLeaseStore } from "./testing/lease.ts";
export { describeRecordStore } from "./testing/store.ts";
export { Heard } from "./testing/suite.ts";

export type { Faults, Storage } from "./memory/broker.ts";
export type { ManualClock, ProcessClock } from "./memory/clock.ts";
export type { MemoryNetwork, MemoryNetworkOptions, MemoryProcess, ProcessOptions } from "./memory/network.ts";
export type { Exploration, ExploreOptions } from "./testing/explore.ts";
export type { GivenMachine } from "./testing/given-machine.ts";
export type { Answer, Answers } from "./testing/moves.ts";
export type { Outcome, Standing } from "./testing/outcome.ts";
export type { FakeAgent, TestInstance, TestInstanceOptions, TestTask } from "./testing/test-instance.ts";
export type { Suite, TestApi } from "./testing/suite.ts";
