// This module contains the client, which a command loads when it connects.
export { connect } from "@ergon/core";
