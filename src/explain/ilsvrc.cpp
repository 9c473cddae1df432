// How the error on ImageNet's classification task fell. docs/ilsvrc.csv and docs/ilsvrc.svg are this table printed.
#include "core/text.h"
#include "fovea/explain.h"

namespace fovea {

const std::vector<IlsvrcResult>& ilsvrc_results() {
    static const std::vector<IlsvrcResult> results{
        {2012, "Fisher vectors", 26.2, "best entry without a convolutional network, test", "Krizhevsky et al. 2012, table 2"},
        {2012, "AlexNet, 1 network", 18.2, "validation", "Krizhevsky et al. 2012, table 2"},
        {2012, "AlexNet, 5 networks", 16.4, "test, no further data", "Krizhevsky et al. 2012, table 2"},
        {2012, "AlexNet, 7 networks", 15.3, "test, two of them pre-trained on the 2011 release; the winner", "Krizhevsky et al. 2012, table 2"},
        {2013, "Clarifai", 11.7, "test, no further data; the winner", "BVLC/caffe, issue 32"},
        {2013, "Clarifai, more data", 11.2, "test, with further data", "BVLC/caffe, issue 32"},
        {2014, "VGG", 7.3, "test, ensemble; second", "Simonyan, Zisserman 2014, arXiv:1409.1556, table 7"},
        {2014, "GoogLeNet", 6.7, "test, 7 networks, 144 crops; the winner", "Szegedy et al. 2014, arXiv:1409.4842, table 2"},
        {2015, "ResNet", 3.57, "test, ensemble of up to 152 layers; the winner", "He et al. 2015, arXiv:1512.03385, table 5"},
    };
    return results;
}

Sheet ilsvrc_sheet() {
    Sheet sheet{.title = "ILSVRC classification, top-5 error in percent"};
    sheet.columns = {{"year", "year", true}, {"entry", "entry"}, {"top-5 error", "top5_error", true}, {"how", "how"}, {"source", "source"}};
    for (const IlsvrcResult& r : ilsvrc_results())
        sheet.rows.push_back({std::to_string(r.year), std::string(r.network), fmt::format("{:g}", r.top5), std::string(r.how), std::string(r.source)});
    return sheet;
}

std::string ilsvrc_chart() {
    constexpr double width = 900, left = 230, right = 60, top = 40, step = 38, bar = 24, scale = (width - left - right) / 30;
    const double height = top + step * static_cast<double>(ilsvrc_results().size()) + 30;
    std::string svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" viewBox=\"0 0 {0:g} {1:g}\" font-family=\"sans-serif\" font-size=\"13\">\n"
                                  "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{2:g}\" y=\"22\">ILSVRC classification: top-5 error in percent (less is better)</text>\n",
                                  width, height, left);
    double y = top;
    for (const IlsvrcResult& r : ilsvrc_results()) {
        const double length = r.top5 * scale;
        svg += fmt::format("<rect x=\"{:g}\" y=\"{:g}\" width=\"{:.1f}\" height=\"{:g}\" fill=\"{}\"><title>{}; {}</title></rect>\n", left, y, length, bar, r.network == "Fisher vectors" ? "#999" : "#3b77b5", r.how, r.source);
        svg += fmt::format("<text x=\"{:g}\" y=\"{:g}\" text-anchor=\"end\">{} {}</text><text x=\"{:.1f}\" y=\"{:g}\">{:g}</text>\n", left - 8, y + 17, r.year, r.network, left + length + 6, y + 17, r.top5);
        y += step;
    }
    return svg + "</svg>\n";
}

}  // namespace fovea
