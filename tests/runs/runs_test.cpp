// Runs read back: lists, comparisons, charts, and the report, which a browser opens without a network.
#include <cmath>
#include <cstdlib>
#include <set>

#include <nlohmann/json.hpp>

#include "fovea/runs.h"
#include "explain/chart.h"
#include "train/small_run.h"

namespace fovea {
namespace {

using test::bytes_of;
using test::small_fit;
using test::small_network;
using test::TemporaryDirectory;
namespace fs = std::filesystem;

/// A run that learns, and one that hardly does.
class Runs : public testing::Test {
protected:
    static void SetUpTestSuite() {
        directory_ = std::make_unique<TemporaryDirectory>("runs_test");
        fit(small_network(), small_fit(directory_->path() / "good", 4));
        FitSpec slow = small_fit(directory_->path() / "slow", 2);
        slow.optimizer = Sgd{.lr = 1e-5};
        slow.model = "<small> & slow";
        slow.recipe = "model = \"small\"\n";
        fit(small_network(), slow);
    }
    static void TearDownTestSuite() { directory_.reset(); }
    static inline std::unique_ptr<TemporaryDirectory> directory_;
};

TEST_F(Runs, AreReadAsTheyWereWritten) {
    const RunRecord run = read_run(directory_->path() / "good");
    EXPECT_EQ(run.name, "good");
    EXPECT_EQ(run.model, "small");
    EXPECT_EQ(run.status, "finished");
    EXPECT_EQ(run.epochs_wanted, 4);
    ASSERT_EQ(run.epochs.size(), 4U);
    EXPECT_EQ(run.steps.size(), 20U);  // every second of 40 updates
    EXPECT_DOUBLE_EQ(run.steps.front().epoch, 0.2);
    EXPECT_DOUBLE_EQ(run.steps.back().epoch, 4);
    ASSERT_EQ(run.probes.size(), 4U);
    std::vector<std::string> layers;
    for (const auto& [layer, norm] : run.probes[0].gradient_norms) {
        layers.push_back(layer);
        EXPECT_GT(norm, 0) << layer;
    }
    EXPECT_EQ(layers, (std::vector<std::string>{"conv1", "bn1", "fc"}));
    EXPECT_EQ(run.probes[0].activations.size(), 1U);
    EXPECT_TRUE(std::isnan(run.probes[0].activations[0].saturated));
    ASSERT_TRUE(run.evaluation);
    EXPECT_EQ(run.evaluation->confusion.total(), 100);
    EXPECT_EQ(run.evaluation->top1, *run.epochs.back().top1);
    EXPECT_EQ(run.evaluated_on, "validation");
    EXPECT_GT(run.metric_of(*run.best()), 0.95);
}

TEST_F(Runs, AreListedAndCompared) {
    const std::vector<RunRecord> runs = read_runs(directory_->path());
    ASSERT_EQ(runs.size(), 2U);
    const auto list = nlohmann::json::parse(to_text(runs_sheet(runs), TableFormat::json));
    const std::string text = list.dump();
    for (const char* part : {"\"good\"", "\"4/4\"", "\"2/2\"", "finished"}) EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
    const std::string differences = to_text(runs_differences(runs), TableFormat::csv);
    EXPECT_NE(differences.find("optimizer.lr,0.05,1e-05"), std::string::npos) << differences;
    EXPECT_NE(differences.find("epochs,4,2"), std::string::npos) << differences;
    EXPECT_EQ(differences.find("seed"), std::string::npos) << differences;
    const std::string chart = runs_chart(runs);
    for (const char* part : {"good, training", "Gradient norm by depth", "</svg>"}) EXPECT_NE(chart.find(part), std::string::npos) << part;
    EXPECT_EQ(chart.find("nan"), std::string::npos);
}

TEST_F(Runs, AKilledRunAndADamagedOneAreSaidToBe) {
    const TemporaryDirectory copy("runs_damaged");
    fs::copy(directory_->path(), copy.path(), fs::copy_options::recursive);
    std::string metrics = bytes_of(copy.path() / "good/metrics.jsonl");
    metrics.resize(metrics.rfind("{\"kind\":\"end\"") + 5);  // the process died while it wrote
    std::ofstream(copy.path() / "good/metrics.jsonl", std::ios::binary) << metrics;
    std::ofstream(copy.path() / "slow/config.json") << "{";
    const std::vector<RunRecord> runs = read_runs(copy.path());
    EXPECT_EQ(runs.at(0).status, "killed");
    EXPECT_EQ(runs.at(0).epochs.size(), 4U);
    EXPECT_EQ(runs.at(1).status, "unreadable");
    EXPECT_NE(runs.at(1).why.find("is no JSON object"), std::string::npos);
    EXPECT_NO_THROW((void)runs_chart(runs));
    fs::create_directories(copy.path() / "weights");
    std::ofstream(copy.path() / "weights/config.json") << "{\"model_type\": \"resnet\"}";  // of another program
    EXPECT_EQ(read_runs(copy.path()).size(), 2U);
    EXPECT_THROW((void)read_run(copy.path()), FormatError);
    EXPECT_THROW((void)read_runs(copy.path() / "nowhere"), Error);
    std::ofstream(copy.path() / "good/metrics.jsonl", std::ios::binary | std::ios::trunc) << R"({"kind":"epoch","epoch":9223372036854775807})";
    EXPECT_EQ(test::message_of<FormatError>([&] { (void)read_run(copy.path() / "good"); }), "metrics.jsonl: a line of epoch 9.223372036854776e+18");
    std::ofstream(copy.path() / "good/metrics.jsonl", std::ios::binary | std::ios::trunc);
    std::string evaluation = bytes_of(copy.path() / "good/evaluation.json");
    evaluation.replace(evaluation.find("\"confusion\":[["), 14, "\"confusion\":[[99,0,1],[");
    std::ofstream(copy.path() / "good/evaluation.json", std::ios::binary) << evaluation;
    EXPECT_NE(test::message_of<FormatError>([&] { (void)read_run(copy.path() / "good"); }).find("a picture of class 99 taken for 0, of "), std::string::npos);
}

TEST_F(Runs, CalibrationIsReadWhereThereIsOneAndNonsenseRefused) {
    const TemporaryDirectory copy("runs_calibration");
    fs::copy(directory_->path() / "good", copy.path() / "good", fs::copy_options::recursive);
    const fs::path file = copy.path() / "good/evaluation.json";
    const auto written = nlohmann::ordered_json::parse(bytes_of(file));
    const auto read_with = [&](const nlohmann::ordered_json& json) {
        std::ofstream(file, std::ios::trunc) << json;
        return read_run(copy.path() / "good");
    };
    const RunRecord run = read_with(written);
    const Reliability& found = run.evaluation->reliability;
    EXPECT_EQ(found.images(), 100);
    EXPECT_EQ(found.bins.size(), 15U);
    EXPECT_NEAR(found.expected_error(), written.at("calibration").at("ece").get<double>(), 1e-12);
    EXPECT_NEAR(found.largest_error(), written.at("calibration").at("mce").get<double>(), 1e-12);
    EXPECT_NEAR(found.brier(), written.at("calibration").at("brier").get<double>(), 1e-12);
    EXPECT_NE(report_html(run).find("Accuracy by confidence"), std::string::npos);

    auto old = written;
    old.erase("calibration");
    EXPECT_EQ(read_with(old).evaluation->reliability.images(), 0);
    EXPECT_EQ(report_html(read_with(old)).find("Calibration"), std::string::npos);

    const auto refused = [&](const char* pointer, const nlohmann::ordered_json& value) {
        auto other = written;
        other[nlohmann::ordered_json::json_pointer(pointer)] = value;
        const std::string message = test::message_of<FormatError>([&] { (void)read_with(other); });
        return message.substr(message.find("a calibration "));
    };
    EXPECT_EQ(refused("/calibration/bins/3/images", 101), "a calibration with \"images\" 101, 0 to 100 is possible");
    EXPECT_EQ(refused("/calibration/bins/3/images", -1e300), "a calibration with \"images\" -1e+300, 0 to 100 is possible");
    EXPECT_EQ(refused("/calibration/brier", nullptr), "a calibration with \"brier\" nan, 0 to 2 is possible");
    EXPECT_EQ(refused("/calibration/bins", nlohmann::ordered_json::array()), "a calibration in 0 bins");
    EXPECT_EQ(refused("/calibration/bins", std::vector<int>(1001)), "a calibration in 1001 bins");
    auto damaged = written;
    damaged["calibration"] = 5;
    EXPECT_THROW((void)read_with(damaged), FormatError);
}

TEST(Chart, PutsPointsWhereTheyBelong) {
    // 460 x 280 with margins 58, 14, 46 and 40: x from 58 to 446, y from 240 (low) to 46.
    const std::string svg = line_chart({.title = "a < b"}, {{"line", {{0, 1}, {1, 3}, {2, std::nan("")}, {3, 2}, {4, 1}}}});
    EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
    EXPECT_NE(svg.find("d=\"M58.0 240.0L155.0 46.0M349.0 143.0L446.0 240.0\""), std::string::npos) << svg;
    const std::string logarithmic = line_chart({.is_logarithmic = true}, {{"line", {{0, 1}, {1, 0}, {2, 100}, {4, 10}}}});
    EXPECT_NE(logarithmic.find("d=\"M58.0 240.0M252.0 46.0L446.0 143.0\""), std::string::npos) << logarithmic;
    EXPECT_NE(line_chart({}, {}).find("no data yet"), std::string::npos);
    // Where steps between ticks are lost in the values there are still some, and an end.
    const std::string far = line_chart({}, {{"line", {{9.3e18, 1e16}, {9.3e18, 1e16 + 2}}}});
    EXPECT_NE(far.find("</svg>"), std::string::npos);
    EXPECT_EQ(far.find("nan"), std::string::npos) << far;
}

TEST_F(Runs, TheReportHasEverythingAndNeedsNothing) {
    const RunRecord run = read_run(directory_->path() / "slow");
    const std::string html = report_html(run, small_fit({}).validation);
    for (const char* part : {"&lt;small&gt; &amp; slow", "Loss", "Accuracy", "Learning rate", "Gradient norms", "Dead units", "Confusion matrix", "Worst mistakes", "Filters of the first layer", "processor", "bottom-left",
                             "model = &quot;small&quot;", "data:image/png;base64,"})
        EXPECT_NE(html.find(part), std::string::npos) << part;
    EXPECT_EQ(html.find("<small>"), std::string::npos);
    EXPECT_EQ(html.find("<script"), std::string::npos);
    // The only address is the name of SVG's name space; every picture lies in the page.
    for (std::size_t at = html.find("http"); at != std::string::npos; at = html.find("http", at + 1)) EXPECT_EQ(html.compare(at, 26, "http://www.w3.org/2000/svg"), 0) << html.substr(at, 60);
    for (std::size_t at = html.find("src="); at != std::string::npos; at = html.find("src=", at + 1)) EXPECT_EQ(html.compare(at, 15, "src=\"data:image"), 0) << html.substr(at, 60);
    for (const char* tag : {"div", "table", "svg", "details", "tr", "td", "th", "p", "h2", "text"}) {
        const auto count = [&](const std::string& what) {
            std::size_t found = 0;
            for (std::size_t at = html.find(what); at != std::string::npos; at = html.find(what, at + 1)) ++found;
            return found;
        };
        EXPECT_EQ(count(std::string("<") + tag + ">") + count(std::string("<") + tag + " "), count(std::string("</") + tag + ">")) << tag;
    }
}

TEST_F(Runs, TheReportOpensInABrowser) {
    if (std::system("command -v chromium > /dev/null 2>&1") != 0) GTEST_SKIP() << "no chromium (Debian package chromium): the report was not opened in a browser";
    const fs::path page = directory_->path() / "report.html", picture = directory_->path() / "report.png", messages = directory_->path() / "messages.txt";
    std::ofstream(page) << report_html(read_run(directory_->path() / "slow"), small_fit({}).validation);
    // Without a network: any address but the page's own goes nowhere.
    const std::string command = "HOME=" + directory_->path().string() + " timeout 300 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --enable-logging=stderr --v=0 --host-resolver-rules='MAP * ~NOTFOUND' --hide-scrollbars"
                                " --window-size=1100,2600 --screenshot=" + picture.string() + " file://" + page.string() + " > " + messages.string() + " 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << bytes_of(messages);
    EXPECT_EQ(bytes_of(messages).find("CONSOLE"), std::string::npos) << bytes_of(messages);
    const Image shot = read_image(picture);
    EXPECT_EQ(shot.width, 1100);
    std::set<std::array<std::uint8_t, 3>> colours;
    for (std::int64_t y = 0; y < shot.height; y += 3)
        for (std::int64_t x = 0; x < shot.width; x += 3) colours.insert({shot.at(x, y, 0), shot.at(x, y, 1), shot.at(x, y, 2)});
    EXPECT_GT(colours.size(), 50U) << "an empty page";
}

}  // namespace
}  // namespace fovea
