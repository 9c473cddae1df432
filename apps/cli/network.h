// From what the user names (a model, a listing, a run directory, a weights file) to a network that can run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "command.h"
#include "fovea/calibrate.h"
#include "fovea/data.h"
#include "fovea/io.h"
#include "fovea/models.h"
#include "fovea/tasks.h"
#include "fovea/train.h"

namespace fovea::cli {

/// build_network and fovea::load_network; what was read of a listing with a grain of salt goes to stderr.
[[nodiscard]] Network named_network(std::string_view name, const ModelOptions& options = {});
[[nodiscard]] Network read_listing_file(const std::string& file, const ListingOptions& options);
[[nodiscard]] Network load_network(const std::string& path, const std::string& model, std::string_view checkpoint = "last");
/// The model with as many classes as the data, for its pictures: their size and channels where the model takes any. With
/// `by_data` mean and deviation are those of the training set instead of the card's. `listing` is the text of "listing:FILE" where it is
/// known already: the file is not read.
[[nodiscard]] Network build_for(std::string_view model, const Dataset& train, bool by_data, ModelOptions options = {}, const std::string& listing = {});
/// The network.* keys of a recipe.
[[nodiscard]] ModelOptions options_of(const Recipe& recipe);
/// Parameters to train from: a run's or a weights file's, the layer before the output anew where its shape differs. With `map`
/// ("source=target" beginnings of names) only what it names is taken. Throws FormatError when anything else does not fit.
[[nodiscard]] Parameters start_from(const Network& network, const std::string& file, const std::vector<std::string>& map, std::uint64_t seed, LoadReport& report);
/// What a file of the network says of it beside the tensors.
[[nodiscard]] std::string facts_text(const Network& network);
/// Weights and grids in one file, which every command opens as the network in int8.
void save_quantized(const std::string& file, const Network& network, const QuantizationTable& grids);
/// How the network's output is trained; empty where that is cross-entropy.
[[nodiscard]] LossFunction loss_of(const Network& network);
/// Whether the network gives distances: the smallest is its answer.
[[nodiscard]] bool lowest_wins(const Network& network);

/// --preprocess and the options that change one of its fields, of every command that prepares pictures.
class PreprocessArguments {
public:
    void add_to(CLI::App& command);
    [[nodiscard]] bool is_given() const;
    /// `own` with what was given instead. Throws ArgumentError for a value that is none.
    [[nodiscard]] Preprocess over(Preprocess own) const;

private:
    std::string preset_, resize_, crop_, interpolation_;
    std::vector<double> mean_, std_;
    double range_ = 0;
    int order_ = 0;  // 1: blue first, -1: red first
};
/// A class's name; its number where there is none.
[[nodiscard]] inline std::string class_name(const std::vector<std::string>& classes, std::int64_t number) {
    return number < static_cast<std::int64_t>(classes.size()) ? classes[static_cast<std::size_t>(number)] : std::to_string(number);
}
/// The lines of --class-names: a file, or the name of a set whose classes are known.
[[nodiscard]] std::vector<std::string> class_names_of(const std::string& file_or_set);

}  // namespace fovea::cli
