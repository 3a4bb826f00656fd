// The public API. What is not here cannot be imported.

// Agents, and what their handlers get.
export { AttemptAborted } from "./abort.ts";
export { createAgent } from "./agent.ts";
export type { AbortReason } from "./abort.ts";
export type { Agent, AgentOptions, AgentPorts, StopOptions } from "./agent.ts";
export type { Attempt } from "./attempt.ts";
export type { DriverDefinition } from "./driver.ts";
export type { Handler, Middleware } from "./middleware.ts";
export type { AgentState, PresenceBody } from "./presence.ts";
export type { AttemptResponse } from "./response.ts";

// The drivers we ship.
export { command } from "./drivers/command.ts";
export { echo } from "./drivers/echo.ts";
export { http } from "./drivers/http.ts";
export { noop } from "./drivers/noop.ts";
export { sleep } from "./drivers/sleep.ts";
export type { CommandDriverOptions } from "./drivers/command.ts";
export type { HttpDriverOptions } from "./drivers/http.ts";
export type { SimpleDriverOptions } from "./drivers/echo.ts";

// What handlers throw, from core.
export { RetryableError, TerminalError } from "@ergon/core";
