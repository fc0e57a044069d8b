// Unpacks the Brotli files of the npm package @sparticuz/chromium: unpack_browser.js FROM TO
// Node.js reads Brotli, and comes with npm; neither tar nor Python's own library does.
"use strict";
const { createReadStream, createWriteStream } = require("fs");
const { join } = require("path");
const { pipeline } = require("stream/promises");
const { createBrotliDecompress } = require("zlib");

const [from, to] = process.argv.slice(2);
const unpack = (name) =>
  pipeline(createReadStream(join(from, name + ".br")), createBrotliDecompress(), createWriteStream(join(to, name)));

Promise.all(["chromium", "al2023.tar"].map(unpack)).catch((error) => {
  console.error(`setup: ${error.message}`);
  process.exit(1);
});
