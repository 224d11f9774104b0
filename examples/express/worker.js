const tally = require("./tally");

const timer = setInterval(tally.count, 200);
console.log("counting");
process.on("SIGTERM", () => clearInterval(timer));
