// Preloaded: this process's wall clock is an hour ahead (or, with ERGON_TEST_CLOCK=-1, behind).
const HOUR_MS = 3_600_000;
const now = Date.now;
const shift = HOUR_MS * Number(process.env["ERGON_TEST_CLOCK"] ?? "1");
Date.now = () => now() + shift;
