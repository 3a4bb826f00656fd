throw new Error("out of order\nat once");
