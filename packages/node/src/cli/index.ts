// This module exports the command line as a function for programs and tests, and its tables for the docs.
export { runCli } from "./cli.ts";
export { exitCodes } from "./exit-codes.ts";
export { judge, judgeWithout } from "./findings.ts";
export { readSettings } from "./read-settings.ts";
export { settings } from "./settings.ts";

export type { ClusterFacts, Finding, Sync } from "./findings.ts";
export type { Io, Sink } from "./io.ts";
export type { Sources } from "./read-settings.ts";
export type { Setting } from "./settings.ts";
