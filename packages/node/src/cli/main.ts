#!/usr/bin/env node
import { runCli } from "./cli.ts";
import { processIo } from "./io.ts";

const code = await runCli(process.argv.slice(2), processIo());
// Input that nobody reads any more must not keep the process; what was written must be out.
process.stdout.write("", () => process.exit(code));
