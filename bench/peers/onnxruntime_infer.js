// usage: onnxruntime_infer.js FILE.onnx BATCH,C,H,W THREADS SECONDS   One line of JSON: times of one inference, peak memory.
const ort = require("onnxruntime-node");

async function main([file, shape, threads, seconds]) {
  const dims = shape.split(",").map(Number);
  const session = await ort.InferenceSession.create(file, {
    intraOpNumThreads: Number(threads), interOpNumThreads: 1, executionMode: "sequential", graphOptimizationLevel: "all", logSeverityLevel: 3,
  });
  const pixels = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => Math.random());
  const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", pixels, dims) };
  for (let i = 0; i < 3; ++i) await session.run(feeds);
  const times = [];
  const end = performance.now() + Number(seconds) * 1000;
  while (performance.now() < end || times.length < 3) {
    const begin = performance.now();
    await session.run(feeds);
    times.push(performance.now() - begin);
  }
  times.sort((a, b) => a - b);
  console.log(JSON.stringify({
    min_ms: times[0], median_ms: times[times.length >> 1], runs: times.length, version: require("onnxruntime-node/package.json").version,
    peak_memory_bytes: process.resourceUsage().maxRSS * 1024,
  }));
}

main(process.argv.slice(2));
