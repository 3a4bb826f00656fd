// The public API. Nothing else can be imported.

// Agents, and the attempts that their handlers get.
export { AttemptAborted } from "./abort.ts";
export { createAgent } from "./agent.ts";
export type { AbortReason } from "./abort.ts";
export type { Agent, AgentOptions, AgentPorts, StopOptions } from "./agent.ts";
export type { Attempt } from "./attempt.ts";
export type { DriverDefinition } from "./driver.ts";
export type { Handler, Middleware } from "./middleware.ts";
export type { AgentState, PresenceBody } from "./presence.ts";
export type { AttemptResponse } from "./response.ts";

// The bundled drivers.
export { command } from "./drivers/command.ts";
export { echo } from "./drivers/echo.ts";
export { http } from "./drivers/http.ts";
export { noop } from "./drivers/noop.ts";
export { sleep } from "./drivers/sleep.ts";
export type { CommandDriverOptions } from "./drivers/command.ts";
export type { HttpDriverOptions } from "./drivers/http.ts";
export type { SimpleDriverOptions } from "./drivers/echo.ts";

// The errors for handlers, from core.
export { RetryableError, TerminalError } from "@ergon/core";
