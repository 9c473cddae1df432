#include "train/tensorboard.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "train/tensorboard.pb.h"

namespace fovea {

namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78U : crc >> 1;
        table[i] = crc;
    }
    return table;
}
constexpr auto crc_table = make_crc_table();

/// TensorFlow's: a CRC of bytes that hold CRCs is no good one.
std::uint32_t masked(std::uint32_t crc) { return std::rotr(crc, 15) + 0xa282ead8U; }

template <class T> void append(std::string& bytes, T value) {
    static_assert(std::endian::native == std::endian::little);
    std::array<char, sizeof(T)> raw{};
    std::memcpy(raw.data(), &value, sizeof(T));
    bytes.append(raw.data(), raw.size());
}

void add(tensorboard::Summary& summary, const std::string& tag, const Json& number) {
    if (!number.is_number()) return;  // null: NaN or infinite
    auto* value = summary.add_value();
    value->set_tag(tag);
    value->set_simple_value(number.get<float>());
}

/// Buckets grow by a factor of 10^(1/5), the first from 0: gradient norms differ by orders of magnitude, not by amounts.
void add_histogram(tensorboard::Summary& summary, const Json& norms) {
    std::vector<double> values;
    for (const auto& [layer, norm] : norms.items())
        if (norm.is_number()) values.push_back(norm.get<double>());
    if (values.empty()) return;
    std::ranges::sort(values);
    auto* value = summary.add_value();
    value->set_tag("gradient_norms");
    auto& histogram = *value->mutable_histo();
    histogram.set_min(values.front());
    histogram.set_max(values.back());
    histogram.set_num(static_cast<double>(values.size()));
    double sum = 0, squares = 0;
    for (const double v : values) sum += v, squares += v * v;
    histogram.set_sum(sum);
    histogram.set_sum_squares(squares);
    std::size_t counted = 0;
    const double least = std::max(values.front(), 1e-30);
    for (double exponent = std::floor(std::log10(least) * 5); counted < values.size(); ++exponent) {
        const double limit = std::pow(10, (exponent + 1) / 5);
        const std::size_t before = counted;
        while (counted < values.size() && values[counted] <= limit) ++counted;
        histogram.add_bucket_limit(limit);
        histogram.add_bucket(static_cast<double>(counted - before));
    }
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
    std::uint32_t crc = 0xffffffffU;
    for (const char c : bytes) crc = crc_table[(crc ^ static_cast<unsigned char>(c)) & 255] ^ crc >> 8;
    return ~crc;
}

std::string tf_record(std::string_view bytes) {
    std::string record;
    append(record, static_cast<std::uint64_t>(bytes.size()));
    append(record, masked(crc32c(record)));
    record += bytes;
    append(record, masked(crc32c(bytes)));
    return record;
}

std::string first_event(double wall_time) {
    tensorboard::Event event;
    event.set_wall_time(wall_time);
    event.set_file_version("brain.Event:2");
    return tf_record(event.SerializeAsString());
}

std::string event_of(const Json& line) {
    tensorboard::Event event;
    tensorboard::Summary& summary = *event.mutable_summary();
    const std::string kind = line.value("kind", "");
    if (kind == "step") {
        for (const auto& [key, value] : line.items())
            if (key != "epoch" && key != "step" && key != "update" && key != "seconds" && key != "time") add(summary, "train/" + key, value);
    } else if (kind == "epoch") {
        for (const char* key : {"loss", "top1", "topk"})
            if (line.contains(key)) add(summary, std::string("validation/") + key, line[key]);
        add(summary, "epoch/train_loss", line["train_loss"]);
        add(summary, "epoch/train_accuracy", line["train_accuracy"]);
    } else if (kind == "probe" && line.contains("gradient_norms")) {
        for (const auto& [layer, norm] : line["gradient_norms"].items()) add(summary, "gradient_norm/" + layer, norm);
        add_histogram(summary, line["gradient_norms"]);
        for (const Json& activation : line["activations"])
            for (const char* key : {"dead", "saturated"})
                if (activation.contains(key)) add(summary, std::string(key) + "/" + activation["layer"].get<std::string>(), activation[key]);
    }
    if (summary.value_size() == 0) return {};
    event.set_wall_time(line.value("time", 0.0));
    event.set_step(line.value("update", std::int64_t{0}));
    return tf_record(event.SerializeAsString());
}

}  // namespace fovea
