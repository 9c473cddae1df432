// The metrics of a run: its lines, and the same for TensorBoard, read back record by record.
#include <cstring>
#include <nlohmann/json.hpp>

#include "small_run.h"
#include "train/tensorboard.h"
#include "train/tensorboard.pb.h"

namespace fovea {
namespace {

using test::bytes_of;
using test::small_fit;
using test::small_network;
using test::TemporaryDirectory;

/// Reader written from TFRecord's description, not from our writer: the CRC bit by bit.
std::uint32_t slow_masked_crc(std::string_view bytes) {
    std::uint32_t crc = ~0U;
    for (const char c : bytes) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78U : crc >> 1;
    }
    crc = ~crc;
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

template <class T> T number_at(std::string_view bytes, std::size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    return value;
}

std::vector<tensorboard::Event> events_in(std::string_view bytes) {
    std::vector<tensorboard::Event> events;
    for (std::size_t at = 0; at < bytes.size();) {
        const auto length = static_cast<std::size_t>(number_at<std::uint64_t>(bytes, at));
        EXPECT_EQ(number_at<std::uint32_t>(bytes, at + 8), slow_masked_crc(bytes.substr(at, 8)));
        const std::string_view data = bytes.substr(at + 12, length);
        EXPECT_EQ(number_at<std::uint32_t>(bytes, at + 12 + length), slow_masked_crc(data));
        EXPECT_TRUE(events.emplace_back().ParseFromArray(data.data(), static_cast<int>(data.size())));
        at += 16 + length;
    }
    return events;
}

std::filesystem::path event_file_in(const std::filesystem::path& run) {
    std::filesystem::path found;
    for (const auto& entry : std::filesystem::directory_iterator(run))
        if (entry.path().filename().string().starts_with("events.out.tfevents.")) {
            EXPECT_TRUE(found.empty()) << "a second event file: " << entry.path();
            found = entry.path();
        }
    return found;
}

std::vector<nlohmann::json> lines_of(const std::filesystem::path& run) {
    std::vector<nlohmann::json> lines;
    std::ifstream file(run / "metrics.jsonl");
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
}

TEST(TensorBoard, TheChecksumIsCastagnolis) {
    EXPECT_EQ(crc32c(""), 0U);
    EXPECT_EQ(crc32c("123456789"), 0xe3069283U);                 // the check value of CRC-32C
    EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);       // RFC 3720, B.4
}

TEST(TensorBoard, ALineBecomesItsNumbers) {
    const Json probe = Json::parse(R"({"kind":"probe","epoch":0,"update":7,"gradient_norms":{"conv1":0.5,"fc":2,"bad":null},
        "activations":[{"layer":"relu","op":"relu","zero":0.6,"dead":0.25},{"layer":"tanh","op":"tanh","saturated":0.125}],"time":12.5})");
    const auto events = events_in(event_of(probe));
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].step(), 7);
    EXPECT_EQ(events[0].wall_time(), 12.5);
    std::map<std::string, float> scalars;
    for (const auto& value : events[0].summary().value())
        if (value.has_simple_value()) scalars[value.tag()] = value.simple_value();
    EXPECT_EQ(scalars, (std::map<std::string, float>{{"gradient_norm/conv1", 0.5F}, {"gradient_norm/fc", 2}, {"dead/relu", 0.25F}, {"saturated/tanh", 0.125F}}));
    const auto& histogram = events[0].summary().value(2).histo();
    EXPECT_EQ(histogram.num(), 2);
    EXPECT_EQ(histogram.sum(), 2.5);
    EXPECT_EQ(histogram.sum_squares(), 4.25);
    ASSERT_EQ(histogram.bucket_size(), histogram.bucket_limit_size());
    double counted = 0;
    for (int i = 0; i < histogram.bucket_size(); ++i) {
        counted += histogram.bucket(i);
        if (i > 0) { EXPECT_GT(histogram.bucket_limit(i), histogram.bucket_limit(i - 1)); }
    }
    EXPECT_EQ(counted, 2);
    EXPECT_TRUE(event_of(Json{{"kind", "end"}, {"status", "finished"}}).empty());
}

TEST(RunDirectory, HoldsTheMetricsTwiceAlsoWhenItWasStoppedOften) {
    const TemporaryDirectory directory("events");
    std::atomic<bool> stop = false;
    for (const std::int64_t stop_at : {3, 10, 15, 1000}) {
        FitSpec spec = small_fit(directory.path());
        spec.resume = true;
        spec.stop = &stop;
        stop = false;
        spec.callbacks = {{.on_step = [&](const StepReport& report) {
            EXPECT_GE(report.loader_wait, 0);
            EXPECT_LE(report.loader_wait, 1);
            stop = report.update >= stop_at;
            return true;
        }}};
        fit(small_network(), spec);
    }
    const auto lines = lines_of(directory.path());
    std::map<std::string, int> kinds;
    double seconds = 0;
    for (const auto& line : lines) {
        ++kinds[line.at("kind")];
        if (!line.contains("seconds")) continue;
        EXPECT_GE(line.at("seconds").get<double>(), seconds) << "time went back when the run was resumed";
        seconds = line.at("seconds");
    }
    EXPECT_EQ(kinds, (std::map<std::string, int>{{"step", 15}, {"probe", 3}, {"epoch", 3}, {"end", 1}}));  // 30 updates, every second logged
    EXPECT_EQ(lines.back().at("status"), "finished");

    const std::string bytes = bytes_of(event_file_in(directory.path()));
    const auto events = events_in(bytes);
    ASSERT_EQ(events.size(), 1U + 15 + 3 + 3);
    EXPECT_EQ(events[0].file_version(), "brain.Event:2");
    std::string expected = first_event(events[0].wall_time());
    for (const auto& line : lines) expected += event_of(Json::parse(line.dump()));
    EXPECT_EQ(events_in(expected).size(), events.size());
    std::size_t next = 1;
    for (const auto& line : lines) {
        if (line.at("kind") == "end") continue;
        const auto& event = events.at(next++);
        EXPECT_EQ(event.step(), line.at("update").get<std::int64_t>());
        for (const auto& value : event.summary().value()) {
            if (value.tag() == "train/loss") { EXPECT_EQ(value.simple_value(), line.at("loss").get<float>()); }
            if (value.tag() == "validation/top1") { EXPECT_EQ(value.simple_value(), line.at("top1").get<float>()); }
        }
    }
}

TEST(RunDirectory, SaysWhatItWasMadeWithAndHowItWasJudged) {
    const TemporaryDirectory directory("facts");
    FitSpec spec = small_fit(directory.path(), 1);
    spec.optimizer = Sgd{.lr = 1e-5};  // so that it makes mistakes
    const FitResult result = fit(small_network(), spec);
    const auto config = nlohmann::json::parse(bytes_of(directory.path() / "config.json"));
    EXPECT_EQ(config.at("steps_per_epoch"), 10);
    EXPECT_EQ(config.at("build").at("fovea"), "0.1.0");
    EXPECT_TRUE(config.at("machine").contains("processor"));
    const auto evaluation = nlohmann::json::parse(bytes_of(directory.path() / "evaluation.json"));
    std::int64_t wrong = 0;
    for (const auto& cell : evaluation.at("confusion")) {
        EXPECT_EQ(cell.at(2), result.last_evaluation->confusion.at(cell.at(0), cell.at(1)));
        if (cell.at(0) != cell.at(1)) wrong += cell.at(2).get<std::int64_t>();
    }
    const auto& worst = evaluation.at("worst");
    EXPECT_EQ(static_cast<std::int64_t>(worst.size()), std::min<std::int64_t>(24, wrong));
    ASSERT_GT(worst.size(), 1U);
    for (std::size_t i = 0; i < worst.size(); ++i) {
        EXPECT_EQ(worst[i].at("label"), spec.validation->label(worst[i].at("index")));
        EXPECT_NE(worst[i].at("label"), worst[i].at("predicted"));
        EXPECT_GE(worst[i].at("of_predicted"), worst[i].at("of_label"));
        if (i > 0) { EXPECT_GE(worst[i].at("of_label"), worst[i - 1].at("of_label")); }
    }
}

}  // namespace
}  // namespace fovea
