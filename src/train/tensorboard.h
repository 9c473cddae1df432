// The lines of metrics.jsonl as TensorBoard reads them: TFRecords of Event messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "train/facts.h"

namespace fovea {

/// CRC-32C (Castagnoli): of "123456789" it is 0xe3069283.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes);
/// A TFRecord: length, its masked CRC-32C, the bytes, theirs.
[[nodiscard]] std::string tf_record(std::string_view bytes);

/// The record every event file begins with.
[[nodiscard]] std::string first_event(double wall_time);
/// The record of one line of metrics.jsonl; empty where it holds no number to draw. Scalars stand under "train/loss", "validation/top1",
/// "gradient_norm/<layer>", "dead/<layer>", "saturated/<layer>"; all layers' gradient norms also as the histogram "gradient_norms".
[[nodiscard]] std::string event_of(const Json& line);

}  // namespace fovea
