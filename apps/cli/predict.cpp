// fovea predict RUN|WEIGHTS photo.jpg ...: the most probable classes of each picture, with bars.

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "command.h"
#include "data_options.h"
#include "fovea/data.h"
#include "fovea/tasks.h"
#include "network.h"

namespace fovea::cli {

namespace {

struct PredictArguments {
    Common common;
    std::string path, model, checkpoint = "last", data, picture, class_names;
    Computing computing;
    PreprocessArguments preprocess;
    std::vector<std::string> images;
    std::int64_t topk = 5, count = 12;
    bool has_bars = true;
};

/// A picture and what it was taken for.
struct Answer {
    std::string name;       ///< file, or place in the data set
    Image image;            ///< as it was before preprocessing
    std::int64_t label = -1;  ///< -1: not known
    std::vector<Prediction> best{};  ///< most probable first
};

void print_answer(const Classifier& classifier, const Answer& answer, bool has_bars) {
    fmt::print("{}", answer.name);
    if (answer.label >= 0) fmt::print(": {} {}", class_name(classifier.classes(), answer.label), answer.best[0].index == answer.label ? "✓" : "✗");
    fmt::print("\n");
    std::size_t width = 0;
    for (const Prediction& prediction : answer.best) width = std::max(width, prediction.name.size());
    for (const Prediction& prediction : answer.best) fmt::print("  {:<{}}  {}{:6.2f} %\n", prediction.name, width, has_bars ? bar(prediction.probability, 30) + " " : "", prediction.probability * 100);
}

Json document_of(const Classifier& classifier, const Answer& answer) {
    Json best = Json::array();
    for (const Prediction& prediction : answer.best) best.push_back({{"class", prediction.name}, {"index", prediction.index}, {"probability", prediction.probability}});
    Json document{{"image", answer.name}, {"predictions", best}};
    if (answer.label >= 0) document["label"] = class_name(classifier.classes(), answer.label);
    return document;
}

/// A grid of the pictures, each with what was predicted and, where known, the truth: green when they agree, red when not.
void write_picture(const std::string& path, const Classifier& classifier, const std::vector<Answer>& answers) {
    constexpr std::int64_t side = 112, gap = 8, lines = 2;
    const auto count = static_cast<std::int64_t>(answers.size());
    const std::int64_t columns = std::min<std::int64_t>(count, 6), rows = (count + columns - 1) / columns;
    const std::int64_t cell_width = side + gap, cell_height = side + lines * (text_height + 2) + gap;
    Image sheet(columns * cell_width + gap, rows * cell_height + gap, 3, 24);
    for (std::int64_t i = 0; i < count; ++i) {
        const Answer& answer = answers[static_cast<std::size_t>(i)];
        const std::int64_t x = gap + i % columns * cell_width, y = gap + i / columns * cell_height;
        const Image& image = answer.image;
        const std::int64_t longer = std::max(image.width, image.height);
        // Small pictures are enlarged pixel by pixel, so that one sees what the network sees.
        const Image tile = with_channels(side % longer == 0 ? enlarge(image, static_cast<int>(side / longer))
                                                            : resize(image, std::max<std::int64_t>(1, image.width * side / longer), std::max<std::int64_t>(1, image.height * side / longer)), 3);
        paste(sheet, tile, x + (side - tile.width) / 2, y + (side - tile.height) / 2);
        const Prediction& best = answer.best[0];
        const Colour colour = answer.label < 0 ? Colour{255, 255, 255} : answer.label == best.index ? Colour{110, 220, 110} : Colour{255, 110, 100};
        const auto fitted = [](const std::string& text) { return text.substr(0, static_cast<std::size_t>(side / 6)); };
        draw_text(sheet, x, y + side + 3, fitted(fmt::format("{} {:.0f}%", best.name, 100 * best.probability)), colour);
        if (answer.label >= 0) draw_text(sheet, x, y + side + 3 + text_height + 2, fitted("is " + class_name(classifier.classes(), answer.label)), {170, 170, 170});
    }
    write_png(path, sheet);
}

/// `count` pictures spread evenly over the test part.
std::vector<Answer> pictures_of(const PredictArguments& a, const std::vector<std::string>& classes) {
    const DatasetPtr data = for_classes(open_dataset(a.data, Split::test), classes, fmt::format("'{}'", a.path));
    const std::int64_t count = std::min(a.count, data->size());
    std::vector<Answer> answers;
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t index = i * data->size() / count;
        const Sample sample = data->get(index);
        answers.push_back({.name = fmt::format("{} #{}", data->name(), index), .image = sample.image, .label = sample.label});
    }
    return answers;
}

void predict(const PredictArguments& a) {
    if (a.images.empty() == a.data.empty()) throw ArgumentError("give pictures to predict, or --data DATASET for some of its test pictures");
    a.common.apply();
    Network network = load_network(a.path, a.model, a.checkpoint);
    network.preprocess = a.preprocess.over(network.preprocess);
    if (!a.class_names.empty()) {
        network.classes = class_names_of(a.class_names);
        if (const Shape scores = scores_of(network.graph).shape(); scores[-1] != static_cast<std::int64_t>(network.classes.size()))
            throw ArgumentError(fmt::format("'{}' names {} classes, the network tells {} apart", a.class_names, network.classes.size(), scores[-1]));
    }
    const std::vector<std::string> known = network.classes;  // the classifier numbers those without a name
    const Classifier classifier(std::move(network), a.computing.noted_options());
    std::vector<Answer> answers = a.data.empty() ? std::vector<Answer>{} : pictures_of(a, known);
    for (const std::string& path : a.images) answers.push_back({.name = path, .image = {}});
    std::vector<Answer> done;
    Json documents = Json::array();
    for (Answer& answer : answers) {
        try {
            // One damaged picture is an answer of its own: the others still get theirs.
            if (answer.image.is_empty()) answer.image = read_image(answer.name);
            answer.best = classifier.predict(answer.image, a.topk);
        } catch (const Error& error) {
            note(error.what());
            continue;
        }
        if (a.common.json) documents.push_back(document_of(classifier, answer));
        else print_answer(classifier, answer, a.has_bars);
        done.push_back(std::move(answer));
    }
    if (!a.picture.empty() && !done.empty()) {
        write_picture(a.picture, classifier, done);
        if (!a.common.json) fmt::print("picture {}\n", a.picture);
    }
    if (a.common.json) {
        Json document{{"command", "predict"}, {"model", classifier.model()}, {"weights", classifier.weights().string()}};
        // One picture is the usual question, and its answer needs no list of pictures.
        if (documents.size() == 1) document["predictions"] = documents[0]["predictions"];
        document["images"] = documents;
        print_document(document);
    }
    if (done.size() != answers.size()) {
        if (answers.size() > 1) note(fmt::format("{} of {} pictures could not be read", answers.size() - done.size(), answers.size()));
        throw CLI::RuntimeError(1);
    }
}

}  // namespace

void add_predict(CLI::App& app) {
    auto a = std::make_shared<PredictArguments>();
    CLI::App* command = app.add_subcommand("predict", "The most probable classes of pictures, with bars");
    command->add_option("network", a->path, "A run directory, an ONNX file, or a weights file with --model")->required();
    command->add_option("images", a->images, "JPEG or PNG files");
    command->add_option("--model", a->model, "What a plain weights file holds: a name of 'fovea models'");
    command->add_flag("--bars,!--no-bars", a->has_bars, "Probabilities as bars (default) or as numbers alone");
    command->add_option("--topk", a->topk, "How many classes to show")->check(CLI::Range(1, 1'000'000));
    command->add_option("--data", a->data, "Test pictures of this data set instead of files");
    command->add_option("--count", a->count, "How many of them")->check(CLI::Range(1, 1'000));
    command->add_option("--picture", a->picture, "Write a PNG of all pictures with what was predicted");
    command->add_option("--checkpoint", a->checkpoint, "Of a run: last or best")->check(CLI::IsMember({"last", "best"}));
    a->computing.add_to(*command);
    a->preprocess.add_to(*command);
    command->add_option("--class-names", a->class_names, "What the classes are called: a text file, one per line, or imagenet, imagenet1001, mnist, fashion-mnist, cifar10, cifar100");
    a->common.add_to(*command);
    command->callback([a] { predict(*a); });
}

}  // namespace fovea::cli
