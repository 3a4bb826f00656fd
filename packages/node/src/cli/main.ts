#!/usr/bin/env node
// Import only the compile cache here, because it serves the modules that are loaded after it.
import { useCompileCache } from "./compile-cache.ts";

useCompileCache(process.env);
const [{ runCli }, { processIo }] = await Promise.all([import("./cli.ts"), import("./io.ts")]);
const code = await runCli(process.argv.slice(2), processIo());
// Input without a reader must not keep the process alive, but the process must flush its output.
process.stdout.write("", () => process.exit(code));
