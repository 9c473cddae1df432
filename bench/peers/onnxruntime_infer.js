// usage: onnxruntime_infer.js FILE.onnx ANSWERS.safetensors THREADS SECONDS LEAST_RUNS [BATCH_DIMENSION]
//
// Runs the input of ANSWERS (fovea bench --answers) and compares the result with the output there before anything is timed. One line
// of JSON: the difference, times of one inference, peak memory. With an answer off by more than 1e-4 there is no time.
const fs = require("fs");
const ort = require("onnxruntime-node");

// Float32 rounding adds up over two hundred layers; both programs fold, fuse and use Winograd's kernels differently.
const largestDifference = 1e-4;

/// Tensors by name: { dims, data }.
function readSafetensors(path) {
  const bytes = fs.readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, start));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(header)) {
    if (dtype !== "F32") continue;
    const copy = new Uint8Array(bytes.subarray(start + begin, start + end));
    tensors[name] = { dims: shape, data: new Float32Array(copy.buffer, 0, (end - begin) / 4) };
  }
  return tensors;
}

/// |a - b| / |b|
function relativeL2(a, b) {
  if (a.length !== b.length) return Infinity;
  let difference = 0, norm = 0;
  for (let i = 0; i < b.length; ++i) {
    difference += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  const ratio = Math.sqrt(difference / norm);
  return Number.isFinite(ratio) ? ratio : Infinity;
}

async function main([file, answers, threads, seconds, least, batchDimension]) {
  const begin = performance.now();
  const { image, out } = readSafetensors(answers);
  const inputsMs = performance.now() - begin;
  const session = await ort.InferenceSession.create(file, {
    intraOpNumThreads: Number(threads), interOpNumThreads: 1, executionMode: "sequential", graphOptimizationLevel: "all", logSeverityLevel: 3,
    freeDimensionOverrides: batchDimension ? { [batchDimension]: image.dims[0] } : undefined,  // the batch is known when the graph is optimised
  });
  const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", image.data, image.dims) };
  const result = (await session.run(feeds))[session.outputNames[0]].data;
  const firstAt = Date.now();
  const document = { difference: relativeL2(result, out.data), version: require("onnxruntime-node/package.json").version };
  if (document.difference <= largestDifference) {
    const times = [];
    const end = performance.now() + Number(seconds) * 1000;
    while (performance.now() < end || times.length < Number(least)) {
      const start = performance.now();
      await session.run(feeds);
      times.push(performance.now() - start);
    }
    times.sort((a, b) => a - b);
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length, last = times.length - 1;
    Object.assign(document, { min_ms: times[0], median_ms: times[times.length >> 1], mean_ms: mean, p99_ms: times[Math.min(last, Math.floor(times.length * 0.99))], runs: times.length, first_at_ms: firstAt, inputs_ms: inputsMs });
  } else if (document.difference === Infinity) {
    document.difference = null;  // JSON has no infinity: another shape, or an output that is not finite
  }
  console.log(JSON.stringify({ ...document, peak_memory_bytes: process.resourceUsage().maxRSS * 1024 }));
}

main(process.argv.slice(2));
