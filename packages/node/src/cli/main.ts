#!/usr/bin/env node
// Nothing is imported here but the compile cache: it serves what is loaded after it.
import { useCompileCache } from "./compile-cache.ts";

useCompileCache(process.env);
const [{ runCli }, { processIo }] = await Promise.all([import("./cli.ts"), import("./io.ts")]);
const code = await runCli(process.argv.slice(2), processIo());
// Input that nobody reads any more must not keep the process; what was written must be out.
process.stdout.write("", () => process.exit(code));
