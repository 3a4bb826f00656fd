/** This package's version, as in the beat; a test compares it with `package.json`. */
export const VERSION = "0.1.0";
