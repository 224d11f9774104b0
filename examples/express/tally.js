// What web and worker share: a folder of votes, one file each, and the worker's count of them.
const fs = require("node:fs");
const path = require("node:path");

const folder = path.join(process.env.TRIVET_STORAGE ?? "storage", "votes");
const counted = path.join(process.env.TRIVET_STORAGE ?? "storage", "counted.json");
fs.mkdirSync(folder, { recursive: true });

exports.vote = (name) => fs.writeFileSync(path.join(folder, `${Date.now()}-${Math.random()}`), name);

exports.count = () => {
  const votes = fs.readdirSync(folder).map((file) => fs.readFileSync(path.join(folder, file), "utf8"));
  const totals = {};
  for (const name of votes) totals[name] = (totals[name] ?? 0) + 1;
  fs.writeFileSync(`${counted}.new`, JSON.stringify(totals));
  fs.renameSync(`${counted}.new`, counted);
};

exports.read = () => (fs.existsSync(counted) ? JSON.parse(fs.readFileSync(counted, "utf8")) : {});
