// npm jose and fast-jwt over Node's own verification of the same tokens, in interleaved rounds.
// Reads one JSON object on standard input, writes one on standard output. CPU time of the whole process:
// jose verifies in Node's thread pool, which a thread's own clock would not see.
import crypto from "node:crypto";
import { readFileSync } from "node:fs";

const { tokens, jwk, issuer, audience, rounds } = JSON.parse(readFileSync(0, "utf8"));
const key = crypto.createPublicKey({ key: { kty: jwk.kty, n: jwk.n, e: jwk.e }, format: "jwk" });
const pem = key.export({ type: "spki", format: "pem" });
const algorithms = ["RS256"];
const REPEAT = 4; // the compiler and the collector come now and then: long batches hold their share evenly

const parts = tokens.map((token) => {
  const end = token.lastIndexOf(".");
  return [Buffer.from(token.slice(0, end)), Buffer.from(token.slice(end + 1), "base64url")];
});

const subjects = {
  raw: () => {
    for (const [signed, signature] of parts) {
      if (!crypto.verify("RSA-SHA256", signed, key, signature)) throw new Error("raw");
    }
  },
};
const figures = {};

try {
  const { jwtVerify } = await import("jose");
  subjects["jose"] = async () => {
    for (const token of tokens) await jwtVerify(token, key, { algorithms, issuer, audience });
  };
} catch (error) {
  figures["jose"] = absent(error);
}

try {
  const { createVerifier } = await import("fast-jwt");
  const verify = createVerifier({ key: pem, algorithms, allowedIss: issuer, allowedAud: audience, cache: false });
  subjects["fast-jwt"] = () => {
    for (const token of tokens) verify(token);
  };
} catch (error) {
  figures["fast-jwt"] = absent(error);
}

const times = {};
for (const name of Object.keys(subjects)) {
  try {
    for (let round = 0; round < 5; round += 1) await subjects[name](); // compiled by now
    times[name] = [];
  } catch (error) {
    figures[name] = `does not accept the token: ${error.code ?? error.name}`;
    delete subjects[name];
  }
}
const names = Object.keys(subjects);
for (let round = 0; round < rounds; round += 1) {
  names.push(names.shift());
  for (const name of names) {
    const begun = process.cpuUsage();
    for (let time = 0; time < REPEAT; time += 1) await subjects[name]();
    const { user, system } = process.cpuUsage(begun);
    times[name].push((user + system) / tokens.length / REPEAT);
  }
}
for (const name of Object.keys(times)) {
  if (name !== "raw") figures[name] = figure(times[name].map((time, round) => time / times.raw[round]));
}
process.stdout.write(JSON.stringify(figures));

function absent(error) {
  return error.code === "ERR_MODULE_NOT_FOUND" ? "not installed (npm i jose fast-jwt)" : `cannot be loaded: ${error.code}`;
}

function figure(values) {
  const sorted = values.filter(Number.isFinite).sort((one, other) => one - other);
  const at = (share) => Number(sorted[Math.floor((sorted.length - 1) * share)].toPrecision(4));
  return { median: at(0.5), spread: Number((at(0.75) - at(0.25)).toPrecision(4)) };
}
