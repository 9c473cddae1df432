// usage: onnxruntime_run.js FILE.onnx OUT_DIR NAME=D0,D1,...=FILE.f32 ...
// Runs a model once on raw little-endian floats. Writes OUT_DIR/0.f32, 1.f32, ... and prints [{"name":...,"dims":[...]}, ...] in the same order.
const fs = require("fs");
const path = require("path");
const ort = require("onnxruntime-node");

async function main([file, out, ...inputs]) {
  const session = await ort.InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 });
  const feeds = {};
  for (const input of inputs) {
    const [name, dims, data] = input.split("=");
    const bytes = fs.readFileSync(data);
    const copy = new ArrayBuffer(bytes.length);
    new Uint8Array(copy).set(bytes);
    feeds[name] = new ort.Tensor("float32", new Float32Array(copy), dims ? dims.split(",").map(Number) : []);
  }
  const results = await session.run(feeds);
  const list = session.outputNames.map((name, i) => {
    const tensor = results[name];
    fs.writeFileSync(path.join(out, `${i}.f32`), Buffer.from(Float32Array.from(tensor.data).buffer));
    return { name, dims: tensor.dims };
  });
  console.log(JSON.stringify(list));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(String(error.message || error));
  process.exit(1);
});
